"""Who gets in: tokens, their scopes, and the rights of their owners."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from portal.accounts.actions import add_member, create_user, revoke_token
from portal.accounts.models import ApiToken, Role, Team
from portal.lib import clock
from tests.api.conftest import Caller, assert_problem


def test_without_a_token_nothing_opens_and_the_answer_says_how(people: Any) -> None:
    for path in ("/me/", "/workspaces/", "/nodes/"):
        response = Caller("").get(path)
        assert_problem(response, 401)
        assert response["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("secret", ["berth_unknown", "unknown", "berth_\udcff".encode("utf-8", "replace").decode()])
def test_unknown_tokens_open_nothing(people: Any, secret: str) -> None:
    assert_problem(Caller(secret).get("/me/"), 401)


def test_other_schemes_open_nothing(people: Any, vera: Caller) -> None:
    assert_problem(vera.get("/me/", Authorization=f"Basic {vera.secret}"), 401)
    assert_problem(vera.get("/me/", Authorization="Bearer"), 401)


def test_a_portal_session_is_no_token(people: Any) -> None:
    caller = Caller("")
    caller.http.force_login(people.vera, backend="django.contrib.auth.backends.ModelBackend")
    assert_problem(caller.get("/me/"), 401)


def test_an_expired_token_opens_nothing(vera: Caller) -> None:
    with clock.shifted(timedelta(days=2)):
        assert_problem(vera.get("/me/"), 401)


def test_a_revoked_token_opens_nothing(vera: Caller) -> None:
    assert vera.get("/me/").status_code == 200
    revoke_token(ApiToken.objects.get(user=vera.user), actor="test")
    assert_problem(vera.get("/me/"), 401)


def test_a_token_of_someone_who_left_opens_nothing(vera: Caller) -> None:
    vera.user.is_active = False
    vera.user.save()
    assert_problem(vera.get("/me/"), 401)


def test_use_of_a_token_is_noted(vera: Caller) -> None:
    assert ApiToken.objects.get(user=vera.user).last_used_at is None
    vera.get("/me/")
    assert ApiToken.objects.get(user=vera.user).last_used_at is not None


def test_me_says_who_and_which_teams(people: Any, caller: Callable[..., Caller]) -> None:
    assert caller(people.luis).get("/me/").json() == {
        "user": {"id": people.luis.pk, "username": "luis", "name": "Luis Okafor", "staff": False},
        "teams": [{"slug": "vision", "name": "Vision", "role": "lead"}],
        "default_team": "vision",
    }
    nobody = create_user("nobody", "", "correct-horse-battery", actor="test")
    assert caller(nobody).get("/me/").json()["default_team"] is None


def test_reading_needs_the_read_scope_and_writing_the_write_scope(
    people: Any, catalog: None, caller: Callable[..., Caller]
) -> None:
    reader = caller(people.vera, scopes=("workspaces:read",))
    other = caller(people.vera, scopes=("jobs:write", "usage:read"))
    assert reader.get("/workspaces/").status_code == 200
    problem = assert_problem(reader.post("/workspaces/", {"template": "jupyter-python"}), 403)
    assert problem["code"] == "missing_scope"
    assert "workspaces:write" in problem["detail"]
    for path in ("/workspaces/", "/templates/", "/sizes/", "/images/"):
        assert_problem(other.get(path), 403)
    assert other.get("/me/").status_code == 200


def test_a_write_scope_also_reads(people: Any, caller: Callable[..., Caller]) -> None:
    assert caller(people.vera, scopes=("workspaces:write",)).get("/workspaces/").status_code == 200


@pytest.mark.parametrize("path", ["/nodes/", "/audit/", "/prices/"])
def test_administration_is_for_staff_with_an_admin_token(people: Any, caller: Callable[..., Caller], path: str) -> None:
    assert caller(people.ada, scopes=("admin:read",)).get(path).status_code == 200
    assert_problem(caller(people.ada, scopes=("workspaces:write",)).get(path), 403)
    assert_problem(caller(people.luis).get(path), 403)


def test_a_token_never_exceeds_what_its_owner_may_now(people: Any, caller: Callable[..., Caller]) -> None:
    ada = caller(people.ada)
    people.ada.is_staff = False
    people.ada.save()
    assert_problem(ada.get("/nodes/"), 403)


OWN = [("POST", "start/"), ("POST", "open/"), ("DELETE", "?volumes=delete")]
MANAGED = [("POST", "stop/"), ("POST", "restart/"), ("PATCH", ""), ("DELETE", "")]
SEEN = [("GET", ""), ("GET", "timeline/"), ("GET", "logs/"), ("GET", "metrics/")]


@pytest.mark.parametrize(("method", "rest"), [*SEEN, *MANAGED, *OWN])
def test_strangers_learn_nothing_and_members_are_refused(
    people: Any, caller: Callable[..., Caller], make_workspace: Callable[..., Any], method: str, rest: str
) -> None:
    mia = create_user("mia", "Mia Member", "correct-horse-battery", actor="test")
    add_member(Team.objects.get(slug="vision"), mia, Role.MEMBER, actor="test")
    path = f"/workspaces/{make_workspace().pk}/{rest}"
    body = {"name": "x"} if method == "PATCH" else None
    assert_problem(caller(mia).send(method, path, body), 403)
    assert_problem(caller(people.oda).send(method, path, body), 404)


@pytest.mark.parametrize("who", ["luis", "ada"])
def test_leads_and_staff_see_and_manage_but_do_not_use(
    people: Any,
    caller: Callable[..., Caller],
    make_workspace: Callable[..., Any],
    settle: Callable[[], None],
    who: str,
) -> None:
    workspace = make_workspace()
    settle()
    other = caller(getattr(people, who))
    for method, rest in SEEN:
        assert other.send(method, f"/workspaces/{workspace.pk}/{rest}").status_code == 200
    for method, rest in OWN:
        assert_problem(other.send(method, f"/workspaces/{workspace.pk}/{rest}"), 403)
    assert other.post(f"/workspaces/{workspace.pk}/stop/").status_code == 202
    assert other.delete(f"/workspaces/{workspace.pk}/").status_code == 202
