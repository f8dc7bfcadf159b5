"""A newer version of a template: who hears of it, what it changes, and how a workspace moves to it."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from environments import actions, versions
from environments.models import Image, Template, TemplateVersion, Workspace
from portal.audit.models import AuditEvent
from portal.lib.errors import Conflict, Invalid
from tests.conftest import People

pytestmark = pytest.mark.django_db
SignIn = Callable[[Any], Client]
OLD = {"type": "object", "properties": {"theme": {"enum": ["light", "dark"]}, "gone": {"type": "string"}}}
NEW = {
    "type": "object",
    "properties": {"theme": {"enum": ["blue"]}, "depth": {"type": "integer", "minimum": 1}},
    "additionalProperties": False,
}


def publish(name: str = "2027.1", **values: Any) -> TemplateVersion:
    newest = TemplateVersion.objects.select_related("image").get(template="jupyter-python", version="2026.11")
    columns = ("command", "environment", "port", "health_path", "door_header", "parameters", "image")
    kept = {column: getattr(newest, column) for column in columns}
    return TemplateVersion.objects.create(template_id="jupyter-python", version=name, **(kept | values))


def fresh(workspace: Workspace) -> Workspace:
    return Workspace.objects.select_related("version__template", "allocation").get(pk=workspace.pk)


@pytest.fixture
def stopped(make_workspace: Callable[..., Any], settle: Callable[[], None]) -> Workspace:
    TemplateVersion.objects.update(parameters=OLD)
    workspace = make_workspace(parameters={"theme": "dark"}, name="churn-eda")
    actions.stop(workspace, actor="vera")
    settle()
    return fresh(workspace)


def test_the_newest_version_is_told_with_what_it_changes(stopped: Workspace) -> None:
    assert versions.update_for(stopped) is None
    image = Image.objects.create(name="other", reference="x@sha256:1", state="queued")
    publish(image=image, command=["x"], environment={"A": "1"}, parameters=NEW, changes="A newer Python.")
    update = versions.update_for(fresh(stopped))
    assert update is not None
    assert (update.version, update.changes) == ("2027.1", "A newer Python.")
    assert update.differences == (
        "Image other in place of jupyter-python",
        "New parameters: depth",
        "Parameters that are gone: gone",
        "Parameters that changed: theme",
        "Another command",
        "Variables set by the template: A, JUPYTER_TOKEN",
    )


@pytest.mark.parametrize("way", ["retired version", "retired template", "unresolved"])
def test_what_cannot_be_launched_is_no_update(stopped: Workspace, way: str) -> None:
    waiting = Image.objects.create(name="other", tag="x:1", state="queued")
    publish(**({"retired": True} if way == "retired version" else {"image": waiting} if way == "unresolved" else {}))
    Template.objects.update(retired=way == "retired template")
    assert versions.update_for(fresh(stopped)) is None
    with pytest.raises(Invalid) as refused:
        actions.update_version(stopped, "2027.1", actor="vera")
    assert list(refused.value.fields) == ["version"]
    assert fresh(stopped).version.version == "2026.11"


def test_an_unresolved_version_says_that_it_is_being_resolved(stopped: Workspace, make_workspace: Any) -> None:
    publish(image=Image.objects.create(name="other", tag="x:1", state="queued"))
    assert make_workspace().version.version == "2026.11"
    with pytest.raises(Invalid, match="waits until x:1 is resolved to a digest"):
        make_workspace(version="2027.1")


def test_it_moves_while_stopped_and_runs_the_new_one(stopped: Workspace, settle: Callable[[], None]) -> None:
    publish(command=["new"])
    actions.update_version(stopped, "2027.1", actor="vera")
    actions.start(stopped, actor="vera")
    assert fresh(stopped).allocation.spec["command"] == ["new"]  # type: ignore[union-attr]
    settle()
    with pytest.raises(Conflict) as refused:
        actions.update_version(stopped, "2026.11", actor="vera")
    assert refused.value.code == "not_stopped"
    event = AuditEvent.objects.get(verb="workspace.update_version")
    assert (event.actor, event.before["version"], event.after["version"]) == ("vera", "2026.11", "2027.1")


def test_parameters_that_the_new_version_refuses_are_named_and_the_old_one_goes_on(stopped: Workspace) -> None:
    publish(parameters=NEW)
    with pytest.raises(Invalid) as refused:
        actions.update_version(stopped, "2027.1", actor="vera")
    assert list(refused.value.fields) == ["parameters.theme"]
    actions.start(stopped, actor="vera")
    assert fresh(stopped).version.version == "2026.11"
    assert fresh(stopped).parameters == {"theme": "dark"}


def test_the_page_shows_what_changes_and_asks_for_parameters(
    signed_in: SignIn, people: People, stopped: Workspace
) -> None:
    publish(parameters=NEW, changes="A newer Python.")
    client, address = signed_in(people.vera), f"/workspaces/{stopped.pk}/update/"
    for path in ("/", "/workspaces/", f"/workspaces/{stopped.pk}/"):
        assert address in client.get(path).content.decode()
    assert "2027.1 is out for" in client.get("/").content.decode()
    page = client.get(address).content.decode()
    assert "A newer Python." in page
    assert 'name="parameters.theme"' in page
    for name, wrong, said in (
        ("theme", "dark", "Choose one of: blue."),
        ("depth", "0", "Must be at least 1."),
        ("depth", "two", "Must be a whole number."),
    ):
        answer = client.post(address, {"version": "2027.1", f"parameters.{name}": wrong})
        assert (answer.status_code, said in answer.content.decode()) == (422, True)
        assert list(answer.context["form"].errors) == [f"parameters.{name}"]
    assert fresh(stopped).version.version == "2026.11"
    good = {"version": "2027.1", "parameters.theme": "blue", "parameters.depth": "2"}
    assert client.post(address, good).status_code == 302
    assert fresh(stopped).parameters == {"theme": "blue", "depth": 2}
    assert client.get(address).status_code == 302


def test_the_page_begins_with_the_values_that_it_has(signed_in: SignIn, people: People, stopped: Workspace) -> None:
    kept = {"type": "object", "properties": {"theme": {"enum": ["dark", "blue"]}, "gone": {"type": "string"}}}
    publish(parameters=kept)
    Workspace.objects.update(parameters={"theme": "dark", "gone": "kept text"})
    page = signed_in(people.vera).get(f"/workspaces/{stopped.pk}/update/").content.decode()
    assert 'value="kept text"' in page
    assert re.search(r'value="dark"[^>]* checked', page)


def test_a_version_that_came_out_since_the_page_was_shown_is_shown_first(
    signed_in: SignIn, people: People, stopped: Workspace
) -> None:
    publish()
    publish("2027.2", changes="Even newer.")
    client, address = signed_in(people.vera), f"/workspaces/{stopped.pk}/update/"
    answer = client.post(address, {"version": "2027.1"})
    assert answer.status_code == 422
    assert "Version 2027.2 came out meanwhile" in answer.content.decode()
    assert "Even newer." in answer.content.decode()
    assert fresh(stopped).version.version == "2026.11"
    assert client.post(address, {"version": "2027.2"}).status_code == 302
    assert fresh(stopped).version.version == "2027.2"


def test_the_page_asks_to_stop_first(signed_in: SignIn, people: People, stopped: Workspace) -> None:
    publish()
    actions.start(stopped, actor="vera")
    client, address = signed_in(people.vera), f"/workspaces/{stopped.pk}/update/"
    assert "Stop churn-eda" in client.get(address).content.decode()
    answer = client.post(address, {"version": "2027.1"})
    assert answer.status_code == 422
    assert "Stop churn-eda first" in answer.content.decode()


def test_who_may_update(signed_in: SignIn, people: People, stopped: Workspace) -> None:
    publish()
    address = f"/workspaces/{stopped.pk}/update/"
    assert signed_in(people.oda).post(address, {"version": "2027.1"}).status_code == 404
    assert signed_in(people.luis).post(address, {"version": "2027.1"}).status_code == 403
    assert fresh(stopped).version.version == "2026.11"


def test_rows_with_updates_take_no_more_queries(signed_in: SignIn, people: People, stopped: Workspace) -> None:
    client = signed_in(people.vera)

    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert client.get("/workspaces/").status_code == 200
        return len(seen)

    client.get("/workspaces/")
    one = queries()
    for n in range(20):
        publish(f"2027.{n}")
        Workspace.objects.create(
            name=f"w{n}",
            owner=stopped.owner,
            team=stopped.team,
            version=stopped.version,
            size=stopped.size,
            home=stopped.home,
        )
    assert queries() == one
