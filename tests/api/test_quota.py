"""Limits and requests for GPUs in the API."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from portal.compute import devices
from portal.compute.models import Node
from portal.lib import clock
from portal.quotas.models import Grant
from tests.api.conftest import Caller, assert_problem
from tests.conftest import People

pytestmark = pytest.mark.django_db
IN_TEN_DAYS = (clock.now().date() + timedelta(days=10)).isoformat()
BODY = {"gpu_class": "a100", "count": 2, "ends_on": IN_TEN_DAYS, "justification": "Ablations."}


@pytest.fixture
def node(catalog: None) -> Node:
    node = Node.objects.get()
    devices.note(node, devices.declared({"a100": 2}))
    return node


def test_limits_say_what_is_held_queued_and_until_when(
    people: People,
    node: Node,
    vera: Caller,
    caller: Callable[..., Caller],
    make_workspace: Callable[..., Any],
    settle: Callable[..., None],
) -> None:
    make_workspace(size="gpu-1")
    make_workspace(size="gpu-2")
    settle()
    found = {(row["scope"], row["resource"]): row for row in vera.get("/quotas/").json()["results"]}
    mine, teams = found["me", "gpu:a100"], found["team:vision", "gpu:a100"]
    assert (mine["limit"], mine["used"], mine["queued"], mine["until"]) == (1, 1, 2, None)
    assert (teams["limit"], teams["used"], teams["queued"]) == (4, 1, 2)
    made = vera.post("/quota-requests/", BODY).json()
    caller(people.ada).post(f"/quota-requests/{made['id']}/approve/", {"version": 1})
    row = vera.get("/quotas/").json()["results"][0]
    assert row["limit"] == 3
    assert row["until"] == Grant.objects.get().ends_at.isoformat().replace("+00:00", "Z")


def test_a_request_is_made_seen_and_decided(people: People, node: Node, vera: Caller, caller: Any) -> None:
    made = vera.post("/quota-requests/", BODY)
    assert made.status_code == 201
    asked = made.json()
    assert (asked["state"], asked["scope"], asked["team"], asked["grant"]) == ("submitted", "me", "vision", None)
    luis = caller(people.luis)
    path = f"/quota-requests/{asked['id']}"
    assert [row["id"] for row in luis.get("/quota-requests/").json()["results"]] == [asked["id"]]
    assert caller(people.oda).get("/quota-requests/").json()["results"] == []
    assert_problem(caller(people.oda).post(f"{path}/approve/", {"version": 1}), 404)
    assert_problem(vera.post(f"{path}/approve/", {"version": 1}), 403)
    assert luis.post(f"{path}/needs-info/", {"version": 1, "note": "Why?"}).json()["state"] == "needs_info"
    assert vera.post(f"{path}/answer/", {"version": 2, "note": "Because."}).json()["state"] == "submitted"
    granted = luis.post(f"{path}/approve/", {"version": 3, "count": 1, "note": "One is free."}).json()
    assert (granted["state"], granted["grant"]["count"], granted["grant"]["state"]) == ("partly_approved", 1, "active")
    problem = assert_problem(caller(people.ada).post(f"{path}/deny/", {"version": 3, "note": "No."}), 409)
    assert problem["detail"] == "Luis Okafor decided first: partly approved."
    revoked = caller(people.ada).post(f"{path}/revoke/", {"version": 4, "note": "Needed elsewhere."}).json()
    assert revoked["grant"]["state"] == "revoked"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("gpu_class", "v100"),
        ("count", 0),
        ("count", -1),
        ("count", 1e309),
        ("count", True),
        ("scope", "all"),
        ("team", "risk"),
        ("ends_on", "2020-01-01"),
        ("ends_on", "9999-12-31"),
        ("starts_on", "2020-01-01"),
        ("justification", ""),
        ("justification", 7),
        ("priority", "high"),
    ],
)
def test_bad_requests_name_the_field(node: Node, vera: Caller, field: str, value: Any) -> None:
    answer = vera.post("/quota-requests/", BODY | {field: value})
    assert answer.status_code in (400, 422)
    if answer.status_code == 422:
        names = {"ends_on": "ends_at", "starts_on": "starts_at"}
        assert_problem(answer, 422, names.get(field, field))


def test_it_takes_the_scope(people: People, node: Node, caller: Callable[..., Caller]) -> None:
    reader = caller(people.vera, scopes=("quota:read",))
    assert reader.get("/quotas/").status_code == 200
    assert_problem(reader.post("/quota-requests/", BODY), 403)
    assert_problem(caller(people.vera, scopes=("jobs:write",)).get("/quotas/"), 403)


def test_it_is_withdrawn_by_its_owner_alone(people: People, node: Node, vera: Caller, caller: Any) -> None:
    path = f"/quota-requests/{vera.post('/quota-requests/', BODY).json()['id']}"
    assert_problem(caller(people.ada).post(f"{path}/withdraw/", {}), 403)
    assert vera.post(f"{path}/withdraw/", {}).json()["state"] == "withdrawn"
    assert_problem(caller(people.ada).post(f"{path}/revoke/", {"version": 2, "note": "x"}), 404)
    assert_problem(vera.get("/quota-requests/01ARZ3NDEKTSV4RRFFQ69G5FAV/"), 404)
