"""Totals of usage: always the ledger, each interval once, whatever is added up, interrupted or found to be wrong."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from itertools import pairwise
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.db.models import F

from portal.invariants import violations
from portal.lib import clock
from portal.usage import periods, reports, totals
from portal.usage.models import Unsummed, UsageTotal
from portal.usage.periods import Period
from portal.usage.reports import GROUPS, Scope
from portal.usage.totals import Kind
from tests.usage.test_metering import T0, interval

pytestmark = pytest.mark.django_db
DAY = 24 * 3600
YEAR = Period(date(2026, 1, 1), date(2026, 12, 31))
WEEKS = Period(date(2026, 10, 1), date(2026, 11, 20))
NARROW = Scope(only={"template": ("r", "python"), "kind": "job"})
AS_PRICED = ["team", "currency", "gpu_class"]
SCOPES = [Scope(), Scope(user="vera"), Scope(teams=("vision",)), NARROW]


@pytest.fixture(autouse=True)
def in_december() -> Iterator[None]:
    with clock.stopped(), clock.shifted(datetime(2026, 12, 5, 12, tzinfo=UTC) - clock.now()):
        yield


@contextmanager
def only_the_ledger() -> Iterator[None]:
    """As if there were no totals."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(totals, "KINDS", ())
        yield


def a_ledger() -> None:
    for n in range(80):
        begin = n * 35_011 - 40 * DAY
        meter = ["cpu", "memory", "gpu", "storage"][n % 4]
        interval(
            begin,
            begin + (n * 7919) % 200_000,
            allocation_id=f"A{n}",
            meter=meter,
            user=["vera", "bo", "oda"][n % 3],
            team=["vision", "risk"][n % 5 % 2],
            project=["", "leaves", "soil"][n % 11 % 3],
            template=["python", "r"][n % 5 // 3],
            gpu_class=["", "a100"][n % 7 // 5],
            node=f"node-{n % 4}",
            owner_kind=["job", "workspace"][n % 3 // 2],
            currency=["EUR", "USD"][n % 13 // 12],
            measured=n * 977.3 * (meter != "storage"),
            used=n * 331.7 * (meter != "storage"),
        )
    interval(0, None, allocation_id="open")


def answers() -> list[Any]:
    """To every question about a year, its months, some weeks and odd days, days of two months and hours of a day."""
    steps = [(YEAR, "month"), (Period(date(2026, 10, 1), date(2026, 11, 30)), "day")]
    steps += [(Period(date(2026, 11, 1), date(2026, 11, 1)), "hour")]
    times = [
        *([(whole.since, whole.until)] for whole in (YEAR, WEEKS)),
        *(periods.buckets(period, step) for period, step in steps),
    ]
    return [
        reports.sums(scope, buckets, groups)
        for scope in SCOPES
        for buckets in times
        for groups in ([], *([name] for name in GROUPS), ["team", "user"], ["user", "node"], AS_PRICED)
    ]


def test_every_answer_is_that_of_the_ledger_before_amid_and_after() -> None:
    a_ledger()
    with only_the_ledger():
        right = answers()
    assert answers() == right
    while totals.add_up(25):
        assert answers() == right
    assert not Unsummed.objects.exists() and UsageTotal.objects.exists()
    assert answers() == right
    assert totals.differences() == {}


def test_kinds_that_came_later_are_made_of_finer_ones() -> None:
    a_ledger()
    totals.add_up()
    UsageTotal.objects.filter(kind__in=("user-year", "all-day")).delete()
    assert [*totals.differences()] == ["user-year", "all-day"]
    later = import_module("portal.usage.migrations.0010_years_of_people")
    with connection.cursor() as cursor:
        for operation in later.Migration.operations:
            cursor.execute(operation.sql)
    assert totals.differences() == {}


def test_where_kinds_changed_the_ledger_answers_until_all_is_added_up_anew() -> None:
    a_ledger()
    before = answers()
    totals.add_up()
    UsageTotal.objects.filter(kind="user-week").delete()
    changed = import_module("portal.usage.migrations.0012_more_kinds")
    with connection.cursor() as cursor:
        cursor.execute(changed.ANEW)
    assert not UsageTotal.objects.exists() and answers() == before
    totals.add_up()
    assert totals.differences() == {} and answers() == before


def test_what_is_open_counts_and_comes_to_the_totals_when_it_closes() -> None:
    row = interval(0, None)
    assert totals.add_up() == 0
    row.ended_at = T0 + timedelta(hours=2)
    row.save()
    assert totals.add_up() == 1
    [hour, next_hour] = UsageTotal.objects.filter(kind="hour").order_by("started_at")
    assert hour.cpu == next_hour.cpu == row.quantity * 3600 and not hour.memory
    assert UsageTotal.objects.get(kind="month").spent == row.quantity * 7200 * row.price_per_hour
    assert totals.add_up() == 0


def test_one_that_is_interrupted_leaves_everything_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    a_ledger()
    before = answers()
    monkeypatch.setattr(totals, "KINDS", (*totals.KINDS, Kind("broken", "fortnight", ("team",))))
    with pytest.raises(DatabaseError), transaction.atomic():
        totals.add_up()
    assert Unsummed.objects.count() == 80 and not UsageTotal.objects.exists()
    monkeypatch.undo()
    totals.add_up()
    assert answers() == before


def test_a_total_that_is_wrong_is_noticed_and_all_are_made_anew(caplog: pytest.LogCaptureFixture) -> None:
    a_ledger()
    before = answers()
    totals.add_up()
    UsageTotal.objects.filter(kind="day", user="bo").update(spent=F("spent") + 1)
    UsageTotal.objects.filter(kind="hour")[0].delete()
    assert set(totals.differences()) == {"day", "hour"}
    assert [found[:2] for found in violations()] == ["I8", "I8"]
    totals.check()
    assert "differed from the ledger" in caplog.text
    assert totals.differences() == {} and answers() == before
    assert not Unsummed.objects.exists()


def test_the_command_makes_them_anew(capsys: pytest.CaptureFixture[str]) -> None:
    a_ledger()
    UsageTotal.objects.create(kind="day", started_at=T0, cpu=1, memory=1, gpu=1, spent=1)
    call_command("rebuild_usage_totals")
    assert f"hour ({len(totals.KINDS)} of {len(totals.KINDS)})" in capsys.readouterr().out
    assert totals.differences() == {} and not Unsummed.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_the_second_does_nothing() -> None:
    a_ledger()
    done: list[int] = []

    def other() -> None:
        done.append(totals.add_up())
        connection.close()

    with transaction.atomic():
        assert totals.add_up() == 80
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert done == [0]
    assert totals.differences() == {}


BERLIN_MIDNIGHTS = [datetime(2026, 11, day, 23, tzinfo=UTC) for day in (1, 2, 3)]
KOLKATA_HOURS = [datetime(2026, 11, 1, hour, 30, tzinfo=UTC) for hour in (1, 2)]


@pytest.mark.parametrize(
    ("edges", "columns", "kind"),
    [
        ([datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2)], {"user"}, "user-month"),
        ([datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2)], {"team", "gpu_class"}, "team-month"),
        ([datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2)], {"team", "user"}, "month"),
        ([datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2)], {"user"}, "user-day"),
        ([datetime(2026, 1, day, tzinfo=UTC) for day in (5, 12)], {"user"}, "user-week"),
        ([datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2)], {"team"}, "team-only-day"),
        ([datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2)], {"gpu_class"}, "template-month"),
        ([datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2)], {"template"}, "template-only-day"),
        ([datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2)], {"team", "user"}, "day"),
        ([datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2)], {"node"}, "node-day"),
        ([datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2)], {"node", "user"}, None),
        ([datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2)], {"owner_id"}, None),
        (BERLIN_MIDNIGHTS, set(), "hour"),
        (BERLIN_MIDNIGHTS, {"user"}, None),
        (KOLKATA_HOURS, set(), None),
    ],
)
def test_the_cheapest_kind_that_is_exact_answers(edges: list[datetime], columns: set[str], kind: str | None) -> None:
    found = totals.answering(edges, columns)
    assert (found.name if found else None) == kind


def test_days_of_other_zones_are_exact_too() -> None:
    a_ledger()
    totals.add_up()
    for edges in (BERLIN_MIDNIGHTS, KOLKATA_HOURS):
        found = reports.sums(Scope(), list(pairwise(edges)))
        with only_the_ledger():
            assert found == reports.sums(Scope(), list(pairwise(edges)))


@pytest.mark.django_db(transaction=True)
def test_what_closes_while_all_are_made_anew_is_in_none_of_them() -> None:
    a_ledger()

    def close(kind: str) -> None:
        if kind == totals.KINDS[2].name:
            thread = threading.Thread(target=_another_closes)
            thread.start()
            thread.join()

    totals.rebuild(close)
    assert [mark.interval.allocation_id for mark in Unsummed.objects.all()] == ["late"]
    assert totals.differences() == {}
    with only_the_ledger():
        right = answers()
    assert answers() == right
    assert totals.add_up() == 1 and answers() == right


def _another_closes() -> None:
    interval(0, 7200, allocation_id="late", user="bo", team="risk")
    connection.close()
