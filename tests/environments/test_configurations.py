"""Saved configurations and one-click relaunch."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from environments import configurations
from environments.launch import Launch
from environments.models import Configuration, Template, TemplateVersion, Workspace
from environments.schema import completed
from portal.accounts import secret_actions
from portal.accounts.secret_actions import NewSecret
from portal.audit.models import AuditEvent
from portal.lib import clock
from portal.lib.errors import Invalid
from tests.conftest import People

pytestmark = pytest.mark.django_db
Make = Callable[..., Any]
SignIn = Callable[[Any], Client]
PAGE = "/workspaces/new/jupyter-python/"
GIT = "https://git.example.org/vision/churn.git"
ALL: dict[str, Any] = {
    "size": "medium",
    "env": {"A": "1"},
    "git_url": GIT,
    "git_ref": "main",
    "parameters": {"rounds": 7},
}


@pytest.fixture
def parameters(catalog: None) -> None:
    TemplateVersion.objects.update(parameters=completed({"properties": {"rounds": {"type": "integer"}}}))


def publish(version: str, schema: dict[str, Any]) -> None:
    row = TemplateVersion.objects.filter(template="jupyter-python").first()
    assert row is not None
    row.pk, row.version, row.published_at, row.parameters = None, version, clock.now(), completed(schema)
    row.save()


@pytest.fixture
def saved(people: People, parameters: None) -> Configuration:
    return configurations.save(people.vera, "churn, large", Launch(template="jupyter-python", **ALL), actor="vera")


def test_one_click_launches_the_last_with_everything_it_had(
    signed_in: SignIn, people: People, make_workspace: Make, parameters: None
) -> None:
    first = make_workspace(name="mine", **ALL)
    publish("2027.1", {"properties": {"rounds": {"type": "integer"}}})
    client = signed_in(people.vera)
    assert f'name="workspace" value="{first.pk}"' in client.get("/").content.decode()
    client.post("/workspaces/relaunch/", {"workspace": first.pk})
    again = Workspace.objects.exclude(pk=first.pk).get()
    for field in ("size", "team", "parameters", "environment", "git_url", "git_ref"):
        assert getattr(again, field) == getattr(first, field)
    assert (again.version.version, again.name) == ("2027.1", "jupyterlab-1")


def test_a_version_that_refuses_the_old_settings_shows_them_to_be_changed(
    signed_in: SignIn, people: People, make_workspace: Make, parameters: None
) -> None:
    first = make_workspace(**ALL)
    publish("2027.1", {"properties": {"rounds": {"type": "integer", "maximum": 5}}})
    answer = signed_in(people.vera).post("/workspaces/relaunch/", {"workspace": first.pk}, follow=True)
    page = answer.content.decode()
    assert answer.redirect_chain == [(f"{PAGE}?workspace={first.pk}", 302)]
    assert "Must be at most 5." in page
    assert GIT in page
    assert Workspace.objects.count() == 1


def test_saving_from_the_page_launches_nothing(signed_in: SignIn, people: People, parameters: None) -> None:
    client = signed_in(people.vera)
    sent = {"size": "medium", "parameters.rounds": "7", "env": "A=1", "git.url": GIT, "git.ref": "main", "name": "x"}
    answer = client.post(PAGE, sent | {"configuration": "churn, large", "do": "save"}, follow=True)
    assert "“churn, large” is saved" in answer.content.decode()
    assert not Workspace.objects.exists()
    asked = configurations.launch_of(Configuration.objects.get())
    assert asked == Launch(template="jupyter-python", **ALL)
    assert "churn, large" in client.get("/").content.decode()
    pk = Configuration.objects.get().pk
    assert GIT in client.get(f"{PAGE}?configuration={pk}").content.decode()
    client.post("/workspaces/relaunch/", {"configuration": pk})
    assert Workspace.objects.get().parameters == {"rounds": 7}


def test_a_saved_name_is_replaced_by_saving_it_again(people: People, saved: Configuration) -> None:
    configurations.save(people.vera, " churn, large ", Launch(template="jupyter-python", size="small"), actor="vera")
    assert configurations.launch_of(Configuration.objects.get()).size == "small"
    configurations.save(people.luis, "churn, large", Launch(template="jupyter-python"), actor="luis")
    assert Configuration.objects.count() == 2


@pytest.mark.parametrize(
    ("name", "values", "field"),
    [
        ("", {}, "configuration"),
        ("x" * 61, {}, "configuration"),
        ("a\nb", {}, "configuration"),
        ("a", {"template": "nope"}, "template"),
        ("a", {"size": "vast"}, "size"),
        ("a", {"team": "risk"}, "team"),
        ("a", {"git_url": "file:///etc"}, "git.url"),
        ("a", {"env": {"1": "x"}}, "env"),
        ("a", {"parameters": {"rounds": "x"}}, "parameters.rounds"),
    ],
)
def test_what_could_not_be_launched_is_not_saved(
    people: People, parameters: None, name: str, values: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        configurations.save(people.vera, name, Launch(**({"template": "jupyter-python"} | values)), actor="vera")
    assert list(refused.value.fields) == [field]
    assert not Configuration.objects.exists()


def test_there_is_an_end_to_saving(people: People, catalog: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configurations, "MOST", 1)
    configurations.save(people.vera, "a", Launch(template="jupyter-python"), actor="vera")
    configurations.save(people.vera, "a", Launch(template="jupyter-python"), actor="vera")
    with pytest.raises(Invalid, match="Delete one first"):
        configurations.save(people.vera, "b", Launch(template="jupyter-python"), actor="vera")


def test_my_default_fills_the_page(signed_in: SignIn, people: People, catalog: None) -> None:
    client = signed_in(people.vera)
    for size in ("medium", "large"):
        answer = client.post(PAGE, {"size": size, "git.url": GIT, "do": "prefer"}, follow=True)
        page = " ".join(answer.content.decode().split())
        assert f'value="{size}" required checked' in page
        assert GIT in page
    assert Configuration.objects.get().preferred
    client.post("/workspaces/relaunch/", {"template": "jupyter-python"})
    assert Workspace.objects.get().size_id == "large"
    assert GIT not in signed_in(people.luis).get(PAGE).content.decode()


def test_rename_and_delete_by_form(signed_in: SignIn, people: People, saved: Configuration) -> None:
    client = signed_in(people.vera)
    path = f"/configurations/{saved.pk}/"
    page = client.get(path).content.decode()
    assert GIT in page
    assert client.post(path, {"name": "other"})["Location"] == path
    configurations.save(people.vera, "taken", Launch(template="jupyter-python"), actor="vera")
    for wrong in ("taken", "", "a\tb", "x" * 99):
        assert client.post(path, {"name": wrong}).status_code == 422
    assert client.get(f"{path}delete/").status_code == 200
    assert Configuration.objects.filter(name="other").exists()
    assert client.post(f"{path}delete/")["Location"] == "/workspaces/new/"
    assert not Configuration.objects.filter(name="other").exists()
    verbs = AuditEvent.objects.filter(target=f"configuration-{saved.pk}").values_list("verb", flat=True)
    assert list(verbs) == ["configuration.save", "configuration.rename", "configuration.delete"]


def test_its_page_names_its_secrets_and_variables_without_their_values(
    signed_in: SignIn, people: People, catalog: None
) -> None:
    for name in ("HF_TOKEN", "DEPLOY"):
        secret_actions.add(people.vera, NewSecret(name=name, value="hunter2-hunter2"), actor="vera")
    asked = Launch(template="jupyter-python", secrets=["HF_TOKEN", "DEPLOY"], env={"MODE": "a-quiet-value"})
    saved = configurations.save(people.vera, "with secrets", asked, actor="vera")
    page = " ".join(signed_in(people.vera).get(f"/configurations/{saved.pk}/").content.decode().split())
    assert "<dt>Secrets</dt><dd>HF_TOKEN, DEPLOY</dd>" in page.replace("<dd> ", "<dd>").replace(" </dd>", "</dd>")
    assert "<dd>MODE</dd>" in page
    assert "hunter2" not in page
    assert "a-quiet-value" not in page


def test_nobody_else_knows_of_it(signed_in: SignIn, people: People, saved: Configuration) -> None:
    for user in (people.luis, people.oda, people.ada):
        client = signed_in(user)
        assert client.get(f"/configurations/{saved.pk}/").status_code == 404
        assert client.post(f"/configurations/{saved.pk}/", {"name": "x"}).status_code == 404
        assert client.post(f"/configurations/{saved.pk}/delete/").status_code == 404
        assert client.get(f"{PAGE}?configuration={saved.pk}").status_code == 404
        assert client.post("/workspaces/relaunch/", {"configuration": saved.pk}).status_code == 404
        assert "churn, large" not in client.get("/workspaces/new/").content.decode()
    assert not Workspace.objects.exists()


@pytest.mark.parametrize("field", ["template", "size", "team", "workspace", "configuration"])
@pytest.mark.parametrize("value", ["\0", "x" * 10_000, "'; --", "\u202e"])
def test_nonsense_launches_nothing(signed_in: SignIn, people: People, catalog: None, field: str, value: str) -> None:
    answer = signed_in(people.vera).post("/workspaces/relaunch/", {"template": "jupyter-python"} | {field: value})
    assert answer.status_code in (302, 404)
    assert not Workspace.objects.exists()


def test_only_the_owner_launches_a_workspace_again(signed_in: SignIn, people: People, make_workspace: Make) -> None:
    pk = make_workspace().pk
    for user, status in ((people.luis, 403), (people.ada, 403), (people.oda, 404)):
        client = signed_in(user)
        assert client.post("/workspaces/relaunch/", {"workspace": pk}).status_code == status
        assert client.get(f"{PAGE}?workspace={pk}").status_code == status
    assert Workspace.objects.count() == 1


def test_what_a_team_lost_is_no_longer_offered(signed_in: SignIn, people: People, saved: Configuration) -> None:
    Template.objects.update(teams=["risk"])
    client = signed_in(people.vera)
    assert "churn, large" not in client.get("/").content.decode()
    assert "churn, large" not in client.get("/workspaces/new/").content.decode()
    client.post("/workspaces/relaunch/", {"configuration": saved.pk})
    assert not Workspace.objects.exists()


def test_what_a_later_or_earlier_berth_saved_is_still_read(people: People, saved: Configuration) -> None:
    saved.launch |= {"hovercraft": "eels"}
    del saved.launch["env"]
    assert configurations.launch_of(saved).size == "medium"


@pytest.mark.parametrize("path", ["/", "/workspaces/new/"])
def test_a_constant_number_of_queries(signed_in: SignIn, people: People, saved: Configuration, path: str) -> None:
    client = signed_in(people.vera)

    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert client.get(path).status_code == 200
        return len(seen)

    client.get(path)
    one = queries()
    for n in range(20):
        configurations.save(people.vera, f"c{n}", Launch(template="jupyter-python"), actor="vera")
    assert queries() == one
