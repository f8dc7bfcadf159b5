"""The pages over HTTP: owner, member and stranger, forms without script, and a constant number of queries."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from environments.models import Workspace
from portal.compute.models import Allocation
from tests.conftest import People

pytestmark = pytest.mark.django_db
Make = Callable[..., Any]
Settle = Callable[..., None]
SignIn = Callable[[Any], Client]


def test_everything_asks_for_a_sign_in(client: Client, make_workspace: Make) -> None:
    pk = make_workspace().pk
    for path in ("/", "/workspaces/", "/workspaces/new/", f"/workspaces/{pk}/", "/images/", "/tokens/"):
        answer = client.get(path)
        assert (answer.status_code, answer["Location"]) == (302, f"/sign-in/?next={path}")
    part = client.get(f"/workspaces/{pk}/part/row/", headers={"HX-Request": "true"})
    assert (part.status_code, part["HX-Redirect"]) == (401, "/sign-in/")


def test_launch_by_form(signed_in: SignIn, people: People, catalog: None) -> None:
    client = signed_in(people.vera)
    page = client.get("/workspaces/new/jupyter-python/").content.decode()
    assert "Launch JupyterLab" in page
    answer = client.post("/workspaces/new/jupyter-python/", {"size": "medium", "name": "churn study"})
    workspace = Workspace.objects.get()
    assert answer["Location"] == f"/workspaces/{workspace.pk}/"
    assert (workspace.name, workspace.size_id) == ("churn study", "medium")
    assert "churn study" in client.get(answer["Location"]).content.decode()


@pytest.mark.parametrize("values", [{"name": "x" * 99}, {"name": "a\tb"}, {"size": "huge"}, {"team": "risk"}])
def test_a_bad_form_comes_back_with_what_was_wrong(
    signed_in: SignIn, people: People, catalog: None, values: dict[str, str]
) -> None:
    answer = signed_in(people.vera).post("/workspaces/new/jupyter-python/", values)
    assert answer.status_code in (302, 422)
    assert (answer.status_code == 302) == Workspace.objects.exists() == ("team" in values)


def test_relaunch_is_one_click(signed_in: SignIn, people: People, make_workspace: Make) -> None:
    make_workspace(size="medium")
    client = signed_in(people.vera)
    assert "medium" in client.get("/").content.decode()
    answer = client.post("/workspaces/relaunch/", {"template": "jupyter-python", "size": "medium", "team": "vision"})
    assert answer.status_code == 302
    assert list(Workspace.objects.values_list("size_id", flat=True)) == ["medium", "medium"]


def test_who_sees_what(signed_in: SignIn, people: People, make_workspace: Make) -> None:
    from portal.accounts.actions import add_member, create_user
    from portal.accounts.models import Role, Team

    pk = make_workspace().pk
    colleague = create_user("bo", "Bo", "correct-horse-battery", actor="test")
    add_member(Team.objects.get(slug="vision"), colleague, Role.MEMBER, actor="test")
    expected = {people.vera: 200, people.luis: 200, people.ada: 200, people.oda: 404, colleague: 403}
    for user, status in expected.items():
        client = signed_in(user)
        assert client.get(f"/workspaces/{pk}/").status_code == status
        assert client.get(f"/workspaces/{pk}/part/stage/").status_code == status
        assert client.get(f"/workspaces/{pk}/log/").status_code == status
    for user in (people.oda, colleague):
        for verb in ("start", "stop", "restart", "delete", "rename", "open"):
            assert signed_in(user).post(f"/workspaces/{pk}/{verb}/").status_code == expected[user]
    assert signed_in(people.luis).post(f"/workspaces/{pk}/open/").status_code == 403
    assert Allocation.objects.get().desired == "run"


def test_nothing_changes_on_get(signed_in: SignIn, people: People, make_workspace: Make) -> None:
    pk = make_workspace().pk
    client = signed_in(people.vera)
    for verb in ("start", "stop", "restart", "rename", "open"):
        assert client.get(f"/workspaces/{pk}/{verb}/").status_code == 405
    assert client.get(f"/workspaces/{pk}/delete/").status_code == 200
    assert Allocation.objects.get().desired == "run"


def test_forms_need_their_token(people: People, make_workspace: Make) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(people.vera, backend="django.contrib.auth.backends.ModelBackend")
    assert client.post(f"/workspaces/{make_workspace().pk}/stop/").status_code == 403


def test_stop_rename_delete_by_form(
    signed_in: SignIn, people: People, make_workspace: Make, settle: Settle, fake_engine: Any
) -> None:
    pk = make_workspace().pk
    settle()
    client = signed_in(people.vera)
    assert ">Running<" in client.get(f"/workspaces/{pk}/").content.decode()
    client.post(f"/workspaces/{pk}/rename/", {"name": "renamed"})
    assert client.post(f"/workspaces/{pk}/rename/", {"name": ""}).status_code == 422
    client.post(f"/workspaces/{pk}/stop/")
    settle()
    assert "renamed" in client.get("/workspaces/?state=stopped").content.decode()
    assert client.post(f"/workspaces/{pk}/delete/", {"volumes": "keep"})["Location"] == "/workspaces/"
    assert "renamed" not in client.get("/workspaces/").content.decode().split("</ul>")[-1]


def test_a_failure_says_why_and_what_to_press(
    signed_in: SignIn, people: People, make_workspace: Make, settle: Settle, fake_engine: Any
) -> None:
    from runtimes.fake import Fault

    fake_engine.inject(Fault.DIES)
    pk = make_workspace().pk
    settle()
    page = signed_in(people.vera).get(f"/workspaces/{pk}/").content.decode()
    assert "ended by itself with exit code 1" in page
    assert "Try again" in page


def test_only_staff_build_images(signed_in: SignIn, people: People, catalog: None) -> None:
    assert signed_in(people.vera).post("/images/jupyter-python/build/").status_code == 403
    assert signed_in(people.ada).post("/images/jupyter-python/build/").status_code == 302
    assert "Waiting to be built" in signed_in(people.vera).get("/images/").content.decode()


@pytest.mark.parametrize("path", ["/", "/workspaces/"])
def test_a_constant_number_of_queries(signed_in: SignIn, people: People, make_workspace: Make, path: str) -> None:
    client = signed_in(people.vera)
    make_workspace()

    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as seen:
            assert client.get(path).status_code == 200
        return len(seen)

    client.get(path)
    one = queries()
    first = Workspace.objects.get()
    Workspace.objects.bulk_create(
        Workspace(
            name=f"w{n}", owner=first.owner, team=first.team, version=first.version, size=first.size, home=first.home
        )
        for n in range(1000)
    )
    assert queries() == one


def test_absurd_addresses_are_not_found(signed_in: SignIn, people: People, catalog: None) -> None:
    client = signed_in(people.vera)
    for path in (
        "/workspaces/nope/",
        "/workspaces/%00/",
        "/workspaces/new/nope/",
        "/images/nope/",
        "/workspaces/?state=x",
    ):
        assert client.get(path).status_code == 404
    assert client.get("/workspaces/?page=99999999999999999999").status_code == 200
