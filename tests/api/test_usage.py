"""Usage in the API: by time and group, for whom one may ask."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from portal.lib import clock
from tests.api.conftest import Caller, assert_problem
from tests.conftest import People
from tests.usage.test_metering import interval

pytestmark = pytest.mark.django_db
NOVEMBER = "from=2026-11-01&to=2026-11-30"


def test_seconds_and_cost_by_day_and_group(people: People, vera: Caller, caller: Callable[..., Caller]) -> None:
    interval(23 * 3600, 26 * 3600)
    measured = {"measured": 3600, "used": 900}
    interval(0, 3600, allocation_id="B", user="bo", meter="gpu", quantity=Decimal(2), gpu_class="a100", **measured)
    answer = vera.get(f"/usage/?{NOVEMBER}&group_by=user").json()
    assert [(row["start"], row["group"], row["cpu_core_seconds"]) for row in answer["results"]] == [
        ("2026-11-01T00:00:00Z", {"user": "vera"}, 5400.0),
        ("2026-11-02T00:00:00Z", {"user": "vera"}, 10800.0),
    ]
    assert answer["total"] == {"amount": "0.0900", "currency": "EUR"}
    team = (
        caller(people.luis).get(f"/usage/?{NOVEMBER}&scope=team:vision&group_by=user,gpu_class&interval=month").json()
    )
    columns = ("group", "gpu_seconds", "gpu_seconds_measured", "gpu_seconds_used")
    assert [tuple(row[name] for name in columns) for row in team["results"]] == [
        ({"user": "bo", "gpu_class": "a100"}, 7200.0, 3600.0, 900.0),
        ({"user": "vera", "gpu_class": ""}, 0.0, 0.0, 0.0),
    ]
    everything = caller(people.ada).get(f"/usage/?{NOVEMBER}&scope=all&interval=month").json()["results"]
    assert [row["group"] for row in everything] == [{}]


def test_by_default_it_is_this_month_and_ones_own(people: People, vera: Caller) -> None:
    now = datetime(2026, 11, 2, 12, tzinfo=UTC)
    interval(0, None)
    with clock.shifted(now - clock.now()):
        rows = vera.get("/usage/").json()["results"]
    assert [row["start"][:10] for row in rows] == ["2026-11-01", "2026-11-02"]
    assert timedelta(seconds=rows[1]["cpu_core_seconds"] / 1.5) == timedelta(hours=12)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("scope=all", "scope"),
        ("scope=team:vision", "scope"),
        ("scope=team:none", "scope"),
        ("group_by=password", "group_by"),
        ("interval=year", "interval"),
        ("from=soon", "from"),
        ("from=2026-12-01&to=2026-11-01", "to"),
        ("from=0001-01-01&to=9999-12-31", "interval"),
        ("from=2020-01-01&interval=hour", "interval"),
    ],
)
def test_bad_queries_name_the_field(vera: Caller, query: str, field: str) -> None:
    assert_problem(vera.get(f"/usage/?{query}"), 422, field)


def test_it_takes_the_scope_of_usage(people: People, caller: Callable[..., Caller]) -> None:
    assert caller(people.vera, scopes=("usage:read",)).get("/usage/").status_code == 200
    assert_problem(caller(people.vera, scopes=("jobs:read",)).get("/usage/"), 403)


def test_budgets_are_seen_by_leads_and_set_by_administrators(
    people: People, vera: Caller, caller: Callable[..., Caller]
) -> None:
    ada, luis = caller(people.ada), caller(people.luis)
    body = {"team": "vision", "amount": "2000.00", "policy": "block_new"}
    assert_problem(luis.put("/budgets/", body), 403)
    (made,) = ada.put("/budgets/", body).json()["results"]
    assert (made["team"], made["amount"], made["policy"], made["thresholds"]) == (
        "vision",
        {"amount": "2000.0000", "currency": "EUR"},
        "block_new",
        [50, 80, 100],
    )
    assert [row["team"] for row in luis.get("/budgets/").json()["results"]] == ["vision"]
    assert vera.get("/budgets/").json()["results"] == []
    bad = ({"team": "none"}, {"amount": "-1"}, {"amount": "x"}, {"policy": "explode"}, {"until": 1})
    for changes in bad:
        assert_problem(ada.put("/budgets/", body | changes), 422, next(iter(changes)))
    assert ada.put("/budgets/", body | {"amount": None}).json()["results"] == []


def test_leads_set_budgets_of_people_and_projects(people: People, vera: Caller, caller: Callable[..., Caller]) -> None:
    luis, oda = caller(people.luis), caller(people.oda)
    body = {"team": "vision", "amount": "20.00"}
    for part in ({"user": "vera"}, {"project": "Leaves"}):
        assert luis.put("/budgets/", body | part).status_code == 200
        assert_problem(vera.put("/budgets/", body | part), 403)
        assert_problem(oda.put("/budgets/", body | part), 403)
    found = [(row["user"], row["project"]) for row in luis.get("/budgets/").json()["results"]]
    assert sorted(found, key=str) == [("vera", ""), (None, "leaves")]
    assert [row["user"] for row in vera.get("/budgets/").json()["results"]] == ["vera"]
    assert oda.get("/budgets/").json()["results"] == []
    bad = [({"user": "oda"}, "user"), ({"user": "none"}, "user"), ({"project": "a b"}, "project")]
    for part, field in [*bad, ({"user": "vera", "project": "leaves"}, "project")]:
        assert_problem(luis.put("/budgets/", body | part), 422, field)
    removed = luis.put("/budgets/", body | {"project": "LEAVES", "amount": None}).json()["results"]
    assert [row["user"] for row in removed] == ["vera"]
