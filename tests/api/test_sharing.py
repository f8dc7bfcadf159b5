"""Sharing, copying, changing and handing over through the API."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from environments import actions, sharing
from environments.models import Share, Workspace
from portal.compute.models import Allocation
from portal.lib import clock
from tests.api.conftest import Caller, assert_problem

Callers = Callable[..., Caller]


@pytest.fixture
def running(make_workspace: Callable[..., Any], settle: Callable[[], None]) -> Any:
    made = make_workspace(name="study")
    settle()
    Allocation.objects.update(address="127.0.0.1:1")
    return made


@pytest.fixture
def stopped(running: Any, settle: Callable[[], None]) -> Any:
    actions.stop(running, actor="vera")
    settle()
    return running


def test_share_list_and_end(running: Any, vera: Caller, bo: Any, caller: Callers, people: Any) -> None:
    path, until = f"/workspaces/{running.pk}/shares/", clock.now() + timedelta(days=3)
    answer = vera.post(path, {"user": "bo", "right": "use", "until": until.isoformat()})
    assert answer.status_code == 201
    made = answer.json()
    assert set(made) == {"id", "user", "team", "right", "until", "created_by", "created_at"}
    assert (made["user"], made["team"], made["right"], made["created_by"]) == ("bo", None, "use", "vera")
    assert vera.post(path, {"team": "vision", "right": "view"}).json()["team"] == "vision"
    assert [row["team"] for row in vera.get(path).json()["results"]] == ["vision", None]
    assert [row["id"] for row in caller(bo).get("/workspaces/?owner=all").json()["results"]] == [running.pk]
    assert caller(bo).get("/workspaces/").json()["results"] == []
    assert caller(bo).post(f"/workspaces/{running.pk}/open/").status_code == 200
    for _ in range(2):
        assert vera.delete(f"{path}{made['id'].lower()}/").status_code == 204
    assert_problem(caller(bo).post(f"/workspaces/{running.pk}/open/"), 403)
    assert caller(bo).get(f"/workspaces/{running.pk}/logs/").status_code == 200
    assert [row["team"] for row in vera.get(path).json()["results"]] == ["vision"]
    assert_problem(vera.delete(f"{path}{running.pk}/"), 404)


def test_only_the_owner_shares_and_receivers_manage_nothing(
    running: Any, vera: Caller, bo: Any, caller: Callers, people: Any
) -> None:
    path = f"/workspaces/{running.pk}/shares/"
    made = vera.post(path, {"user": "bo", "right": "use"}).json()["id"]
    for user, listed, status in (
        (people.luis, 200, 403),
        (people.ada, 200, 403),
        (bo, 403, 403),
        (people.oda, 404, 404),
    ):
        other = caller(user)
        assert other.get(path).status_code == listed
        assert_problem(other.post(path, {"team": "vision", "right": "use"}), status)
    for status, refused in (
        (403, caller(bo).delete(f"{path}{made}/")),
        (403, caller(bo).post(f"/workspaces/{running.pk}/stop/")),
        (403, caller(bo).post(f"/workspaces/{running.pk}/duplicate/", {})),
        (403, caller(bo).patch(f"/workspaces/{running.pk}/", {"name": "mine"})),
        (404, caller(people.oda).delete(f"{path}{made}/")),
    ):
        assert_problem(refused, status)
    assert caller(people.luis).delete(f"{path}{made}/").status_code == 204


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["right"]),
        ({"right": "use"}, ["user"]),
        ({"right": "own", "user": "bo"}, ["right"]),
        ({"right": "use", "user": "bo", "team": "vision"}, ["user"]),
        ({"right": "use", "user": "oda"}, ["user"]),
        ({"right": "use", "user": 7}, ["user"]),
        ({"right": "use", "user": "x" * 10_000}, ["user"]),
        ({"right": "use", "user": "bo", "until": "soon"}, ["until"]),
        ({"right": "use", "user": "bo", "until": "2020-01-01T00:00:00Z"}, ["until"]),
        ({"right": "use", "user": "bo", "until": "9999-12-31T23:59:59Z"}, ["until"]),
        ({"right": "use", "user": "bo", "for": "me"}, ["for"]),
    ],
)
def test_bad_shares_name_their_fields(running: Any, vera: Caller, bo: Any, body: Any, fields: list[str]) -> None:
    assert_problem(vera.post(f"/workspaces/{running.pk}/shares/", body), 422, *fields)
    assert not Share.objects.exists()


def test_what_does_not_run_is_not_shared(stopped: Any, vera: Caller, bo: Any) -> None:
    problem = assert_problem(vera.post(f"/workspaces/{stopped.pk}/shares/", {"user": "bo", "right": "view"}), 409)
    assert problem["code"] == "not_running"


def test_a_share_is_made_once_for_a_key(running: Any, vera: Caller, bo: Any) -> None:
    first, again = (
        vera.post(f"/workspaces/{running.pk}/shares/", {"user": "bo", "right": "view"}, **{"Idempotency-Key": "k"})
        for _ in range(2)
    )
    assert first.json() == again.json()
    assert Share.objects.count() == 1


def test_lists_cost_the_same_queries_however_long(
    make_workspace: Callable[..., Any], settle: Callable[[], None], vera: Caller, bo: Any, caller: Callers
) -> None:
    made = [make_workspace() for _ in range(5)]
    settle()
    receiver, path = caller(bo), f"/workspaces/{made[0].pk}/shares/"
    sharing.share(made[0], right="use", user="bo", actor="vera")

    def queries(who: Caller, where: str) -> int:
        who.get(where)
        with CaptureQueriesContext(connection) as seen:
            assert who.get(where).status_code == 200
        return len(seen)

    before = queries(receiver, "/workspaces/?owner=all"), queries(vera, path)
    for workspace in made:
        sharing.share(workspace, right="use", team="vision", actor="vera")
    assert (queries(receiver, "/workspaces/?owner=all"), queries(vera, path)) == before
    assert len(receiver.get("/workspaces/?owner=all").json()["results"]) == 5


def test_settings_are_changed_while_it_is_stopped_by_its_owner(
    stopped: Any, vera: Caller, caller: Callers, people: Any
) -> None:
    path = f"/workspaces/{stopped.pk}/"
    assert vera.patch(path, {"env": {"A": "1"}, "size": "medium"}).json()["size"] == "medium"
    stopped.refresh_from_db()
    assert stopped.environment == {"A": "1"}
    assert_problem(vera.patch(path, {"name": "kept out", "env": {"1A": "x"}}), 422, "env")
    assert_problem(vera.patch(path, {"parameters": {"x": 1}}), 422, "parameters.x")
    assert_problem(caller(people.luis).patch(path, {"env": {}}), 403)
    assert vera.post(path + "start/").status_code == 202
    assert_problem(vera.patch(path, {"env": {}}), 409)
    stopped.refresh_from_db()
    assert (stopped.environment, stopped.name) == ({"A": "1"}, "study")


def test_duplicate(stopped: Any, vera: Caller) -> None:
    made = vera.post(f"/workspaces/{stopped.pk}/duplicate/", {}).json()
    assert (made["name"], made["template"], made["size"], made["state"]) == (
        "study-2",
        "jupyter-python",
        "small",
        "queued",
    )
    assert_problem(vera.post(f"/workspaces/{stopped.pk}/duplicate/", {"name": "study"}), 422, "name")
    assert_problem(vera.post(f"/workspaces/{stopped.pk}/duplicate/", {"size": "large"}), 422, "size")


def test_hand_over(stopped: Any, vera: Caller, bo: Any, caller: Callers, people: Any) -> None:
    path, heir = f"/workspaces/{stopped.pk}/offer/", caller(bo)
    assert_problem(vera.post(path, {"to": "oda"}), 422, "to")
    assert_problem(vera.post(path, {}), 422, "to")
    assert_problem(caller(people.luis).post(path, {"to": "bo"}), 403)
    assert_problem(heir.post(f"/offers/{stopped.pk}/accept/"), 404)
    offer = vera.post(path, {"to": "bo"}).json()
    assert (offer["workspace"], offer["name"], offer["to"], offer["offered_by"]) == (stopped.pk, "study", "bo", "vera")
    for _ in range(2):
        assert vera.delete(path).status_code == 204
    assert heir.get("/offers/").json()["results"] == []
    vera.post(path, {"to": "bo"})
    assert heir.post(f"/offers/{stopped.pk}/decline/").status_code == 204
    vera.post(path, {"to": "bo"})
    assert [row["workspace"] for row in heir.get("/offers/").json()["results"]] == [stopped.pk]
    assert_problem(caller(people.luis).post(f"/offers/{stopped.pk}/accept/"), 404)
    assert heir.post(f"/offers/{stopped.pk}/accept/").json()["owner"] == "bo"
    assert_problem(heir.post(f"/offers/{stopped.pk}/accept/"), 404)
    assert_problem(vera.get(f"/workspaces/{stopped.pk}/"), 403)
    assert Workspace.objects.get().owner == bo


def test_what_runs_is_not_offered(running: Any, vera: Caller, bo: Any) -> None:
    assert assert_problem(vera.post(f"/workspaces/{running.pk}/offer/", {"to": "bo"}), 409)["code"] == "not_stopped"
