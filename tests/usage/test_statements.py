"""Statements: hand-computed, each made once, never changed, and corrected by the next to the last digit."""

import csv
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from io import StringIO
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from portal.accounts.actions import create_team
from portal.accounts.models import Team
from portal.audit.models import AuditEvent
from portal.compute.models import Allocation
from portal.invariants import violations
from portal.lib import clock
from portal.usage import reports, statements
from portal.usage.models import Statement, UsageInterval
from portal.usage.reports import Scope
from tests.api.conftest import Caller, assert_problem, caller  # noqa: F401  # a fixture
from tests.conftest import People
from tests.usage.test_metering import T0, interval
from tests.usage.test_pages import enter

pytestmark = pytest.mark.django_db
HOUR, DAY = 3600, 24 * 3600
NOVEMBER, DECEMBER, JANUARY = date(2026, 11, 1), date(2026, 12, 1), date(2027, 1, 1)
END = 30 * DAY
"""Of November, in seconds since T0."""


@pytest.fixture
def vision(people: People) -> Team:
    return Team.objects.get(slug="vision")


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> Any:
    return clock.shifted(datetime(year, month, day, hour, minute, 1, tzinfo=UTC) - clock.now())


def ticks(*moment: int, times: int = 10) -> None:
    with at(*moment):
        for _ in range(times):
            statements.make_due()


def stated(month: date, currency: str = "EUR") -> Statement:
    return Statement.objects.get(team__slug="vision", month=month, currency=currency)


def told(statement: Statement) -> list[tuple[str, str, Decimal, Decimal]]:
    """Month, person, hours and amount of each line."""
    return [(f"{line.month:%m}", line.user, line.hours, line.amount) for line in statements.lines(statement)]


def test_a_line_for_each_person_environment_meter_and_price_and_one_rounding(vision: Team) -> None:
    interval(0, HOUR, template="python")
    interval(2 * HOUR, 3 * HOUR, allocation_id="B", template="python")
    interval(0, 1801, allocation_id="C", user="bo", meter="gpu", quantity=Decimal(2), gpu_class="a100")
    interval(0, HOUR, allocation_id="D", team="risk", user="oda")
    ticks(2026, 12, 1, 0, 1)
    november = stated(NOVEMBER)
    gpu = Decimal(2) * 1801 * Decimal("0.02")
    assert [
        (line.user, line.template, line.meter, line.gpu_class, line.held, line.spent)
        for line in statements.lines(november)
    ] == [
        ("bo", "", "gpu", "a100", Decimal(3602), gpu),
        ("vera", "python", "cpu", "", Decimal("1.5") * 7200, Decimal("1.5") * 7200 * Decimal("0.02")),
    ]
    assert november.spent == Decimal(216) + gpu
    assert statements.exact(november) == Decimal("288.04") / 3600  # 0.0800111…
    assert (november.total, november.unsure) == (Decimal("0.08"), 0)
    assert sum(line.spent for line in statements.lines(november)) == november.spent
    (event,) = AuditEvent.objects.filter(verb="statement.make", target=f"statement-{november.pk}")
    assert event.after["total"] == "0.08 EUR"


@pytest.mark.parametrize(("spent", "total"), [("18", "0.00"), ("54", "0.02"), ("53.99", "0.01")])
def test_half_a_cent_is_rounded_to_even_and_only_the_sum_is(vision: Team, spent: str, total: str) -> None:
    """Two lines of a quarter of a cent are half a cent, not nothing."""
    for name in ("vera", "bo"):
        interval(0, 1, allocation_id=name, user=name, quantity=Decimal(spent) / 2, price_per_hour=Decimal(1))
    ticks(2026, 12, 1, 0, 1)
    assert stated(NOVEMBER).total == Decimal(total)


def test_what_runs_past_the_end_of_a_month_is_billed_in_both(vision: Team) -> None:
    interval(END - HOUR, END + 2 * HOUR)
    ticks(2027, 1, 1, 0, 1)
    hour = Decimal("1.5") * Decimal("0.02")
    assert told(stated(NOVEMBER)) == [("11", "vera", Decimal("1.5"), hour)]
    assert told(stated(DECEMBER)) == [("12", "vera", Decimal(3), 2 * hour)]


def test_a_price_that_changed_makes_two_lines(vision: Team) -> None:
    interval(0, HOUR, quantity=Decimal(1), price_per_hour=Decimal("0.000001"))
    interval(HOUR, 2 * HOUR, quantity=Decimal(1), price_per_hour=Decimal(2))
    ticks(2026, 12, 1, 0, 1)
    assert [(line.price_per_hour, line.amount) for line in statements.lines(stated(NOVEMBER))] == [
        (Decimal("0.000001"), Decimal("0.000001")),
        (Decimal(2), Decimal(2)),
    ]
    assert statements.exact(stated(NOVEMBER)) == Decimal("2.000001")


def test_each_currency_has_its_own(vision: Team) -> None:
    interval(0, HOUR)
    interval(HOUR, 2 * HOUR, currency="USD", price_per_hour=Decimal(1))
    ticks(2026, 12, 1, 0, 1)
    assert (stated(NOVEMBER).total, stated(NOVEMBER, "USD").total) == (Decimal("0.03"), Decimal("1.50"))


def test_no_month_is_left_out_and_none_is_made_before_its_end(vision: Team, django_assert_num_queries: Any) -> None:
    interval(0, HOUR)
    ticks(2026, 11, 30, 23, 59)
    assert not Statement.objects.exists()
    ticks(2027, 2, 1)
    assert [(one.month, one.total) for one in Statement.objects.order_by("month")] == [
        (NOVEMBER, Decimal("0.03")),
        (DECEMBER, Decimal(0)),
        (JANUARY, Decimal(0)),
    ]
    with at(2027, 2, 1, 0, 1), django_assert_num_queries(1):
        statements.make_due()


def test_it_waits_for_what_nobody_has_seen_since_but_not_for_ever(
    people: People, make_workspace: Callable[..., Any], settle: Callable[..., None]
) -> None:
    with clock.shifted(T0 + timedelta(days=29) - clock.now()):
        workspace = make_workspace()
        settle()
    Allocation.objects.update(confirmed_at=T0 + timedelta(days=29, hours=23))
    ticks(2026, 12, 1, 0, 1)
    assert not Statement.objects.exists()
    Allocation.objects.update(confirmed_at=T0 + timedelta(days=30))
    ticks(2026, 12, 1, 0, 1)
    assert stated(NOVEMBER).unsure == 0
    Allocation.objects.filter(pk=workspace.allocation_id).update(confirmed_at=T0 + timedelta(days=31))
    ticks(2027, 1, 3, 23, 59)
    assert Statement.objects.count() == 1
    ticks(2027, 1, 4, 0, 1)
    assert stated(DECEMBER).unsure == 2  # cpu and memory
    assert "2 usage intervals had no known end" in enter(people.ada).get(page(stated(DECEMBER))).content.decode()


def page(statement: Statement) -> str:
    return f"/usage/statements/{statement.pk}/"


def test_what_comes_late_is_in_the_next_one_once(vision: Team) -> None:
    interval(0, HOUR)
    ticks(2026, 12, 1, 0, 1)
    interval(2 * HOUR, 4 * HOUR, user="bo", allocation_id="late")
    ticks(2026, 12, 20, 0, 0)
    assert stated(NOVEMBER).total == Decimal("0.03")
    ticks(2027, 1, 1, 0, 1)
    assert told(stated(DECEMBER)) == [("11", "bo", Decimal(3), Decimal("0.06"))]
    ticks(2027, 2, 1, 0, 1)
    assert told(stated(JANUARY)) == []


def test_what_ended_before_it_was_thought_to_is_taken_back(vision: Team) -> None:
    row = interval(END - 10 * HOUR, None)
    ticks(2026, 12, 4, 0, 1)
    assert (stated(NOVEMBER).total, stated(NOVEMBER).unsure) == (Decimal("0.30"), 1)
    UsageInterval.objects.filter(pk=row.pk).update(ended_at=T0 + timedelta(seconds=END - 9 * HOUR))
    ticks(2027, 1, 1, 0, 1)
    (correction,) = statements.lines(stated(DECEMBER))
    assert (correction.month, correction.hours, correction.amount) == (NOVEMBER, Decimal("-13.5"), Decimal("-0.27"))
    assert stated(DECEMBER).total == Decimal("-0.27")


def test_it_never_changes(vision: Team) -> None:
    interval(0, HOUR)
    ticks(2026, 12, 1, 0, 1)
    november = stated(NOVEMBER)
    for rows in (Statement.objects.all(), november.items.all()):
        with pytest.raises(DatabaseError, match="never changed"), transaction.atomic():
            rows._raw_delete("default")
        with pytest.raises(DatabaseError, match="never changed"), transaction.atomic():
            rows.update(month=DECEMBER)
    with pytest.raises(IntegrityError), transaction.atomic():
        Statement.objects.create(team=vision, month=NOVEMBER, currency="EUR", spent=0, total=0)


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_make_it_once(vision: Team) -> None:
    for n in range(20):
        interval(n * HOUR, (n + 1) * HOUR, allocation_id=f"A{n}")
    together = threading.Barrier(4)

    def work() -> None:
        together.wait()
        statements.make_due()
        connection.close()

    with at(2026, 12, 1, 0, 1):
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    november = Statement.objects.get()
    assert (november.items.count(), november.total) == (20, Decimal("0.60"))


def test_a_team_that_fails_holds_up_no_other(
    people: People, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    interval(0, HOUR)
    interval(0, HOUR, allocation_id="B", team="risk")
    make = statements.make

    def broken(team_id: str, now: datetime) -> list[Statement]:
        if team_id == Team.objects.get(slug="risk").pk:
            raise RuntimeError("broken")
        return make(team_id, now)

    monkeypatch.setattr(statements, "make", broken)
    ticks(2026, 12, 1, 0, 1)
    assert [one.team.slug for one in Statement.objects.all()] == ["vision"]
    assert caplog.text.count("is postponed") == 1
    monkeypatch.setattr(statements, "make", make)
    ticks(2026, 12, 1, 0, 3)
    assert Statement.objects.count() == 2


SPANS = st.lists(
    st.tuples(st.integers(0, 70 * DAY), st.integers(1, 40 * DAY), st.integers(0, 99_999), st.integers(0, 3)), max_size=6
)


class AnySpans(TestCase):
    """Whatever is written when, all statements together bill each second once, at its price."""

    @settings(max_examples=20)
    @given(SPANS)
    def test_together_they_are_the_ledger(self, spans: list[tuple[int, int, int, int]]) -> None:
        create_team("vision", "Vision", actor="test")
        for turn in range(5):
            for n, (begin, length, price, late) in enumerate(spans):
                if late == turn:
                    interval(begin, begin + length, allocation_id=f"A{n}", price_per_hour=Decimal(price) / 1000)
            ticks(2027, 1 + turn, 1, 0, 1)
        made = list(Statement.objects.all())
        whole = sum(length * Decimal("1.5") * Decimal(price) / 1000 for _, length, price, _ in spans)
        assert sum(one.spent for one in made) == whole
        for one in made:
            assert sum(line.spent for line in statements.lines(one)) == one.spent
            assert one.total == (one.spent / 3600).quantize(Decimal("0.01"), ROUND_HALF_EVEN)


def test_it_says_what_the_report_says(vision: Team) -> None:
    for n in range(50):
        interval(n * 50_000, n * 50_000 + 77_777, allocation_id=f"A{n}", price_per_hour=Decimal("0.017") * n)
    ticks(2026, 12, 1, 0, 1)
    report = reports.total(reports.sums(Scope(teams=("vision",)), [clock.month_of(T0)]).values())
    assert stated(NOVEMBER).spent == report.spent
    assert violations() == []


def test_a_statement_that_is_not_the_sum_of_its_items_is_found(vision: Team) -> None:
    Statement.objects.create(team=vision, month=NOVEMBER, currency="EUR", spent=36, total=Decimal("0.01"))
    (found,) = violations()
    assert found.startswith("I8 statement")


@pytest.fixture
def november(people: People) -> Statement:
    interval(0, HOUR, user="=vera", template="=1+1")
    interval(0, HOUR, allocation_id="B", user="vera", meter="gpu", gpu_class="a100")
    interval(0, HOUR, allocation_id="C", team="risk", user="oda")
    ticks(2026, 12, 1, 0, 1)
    return stated(NOVEMBER)


def test_who_leads_the_team_reads_it_and_prints_it(people: People, november: Statement) -> None:
    for person, teams in ((people.luis, ["Vision"]), (people.ada, ["Risk", "Vision"])):
        client = enter(person)
        listed = client.get("/usage/statements/")
        assert [one.team.name for one in listed.context["page"]] == teams
        assert page(november) in listed.content.decode()
        text = " ".join(client.get(page(november)).content.decode().split())
        assert "<h1>Statement of Vision, November 2026</h1>" in text
        for part in ("Vera Rosén", "A100", "1.5000 GPU hours", "0.0300000000", "0.0600000000", "€ 0.06"):
            assert part in text
    assert "/usage/statements/" in enter(people.luis).get("/usage/").content.decode()


def test_members_are_refused_and_strangers_learn_nothing(people: People, november: Statement) -> None:
    assert enter(people.vera).get("/usage/statements/").status_code == 403
    assert "/usage/statements/" not in enter(people.vera).get("/usage/").content.decode()
    for path in (page(november), f"{page(november)}export/"):
        assert enter(people.vera).get(path).status_code == 403
        assert enter(people.oda).get(path).status_code == 404
        assert Client().get(path).status_code == 302
        assert enter(people.luis).post(path).status_code == 405
    for pk in ("0", "x" * 500, "%00", november.pk[:-1]):
        assert enter(people.ada).get(f"/usage/statements/{pk}/").status_code == 404


def test_nothing_is_said_before_the_first(people: People) -> None:
    assert "No month is over yet" in enter(people.ada).get("/usage/statements/").content.decode()


def test_its_lines_as_csv_add_up_and_run_nothing(people: People, november: Statement) -> None:
    answer = enter(people.luis).get(f"{page(november)}export/")
    assert answer["Content-Disposition"] == 'attachment; filename="berth-statement-vision-2026-11-EUR.csv"'
    rows = list(csv.DictReader(StringIO(answer.getvalue().decode())))
    assert {row["user"]: row["template"] for row in rows} == {"'=vera": "'=1+1", "vera": ""}
    exact = [Decimal(row["quantity_seconds"]) * Decimal(row["price_per_hour"]) for row in rows]
    assert sum(exact) == november.spent
    assert sum(Decimal(row["amount"]) for row in rows) == statements.exact(november)


def test_lists_ask_a_fixed_number_of_questions(
    people: People, november: Statement, django_assert_max_num_queries: Any
) -> None:
    ticks(2027, 6, 1, 0, 1, times=14)
    for n in range(30):
        interval(200 * DAY, 200 * DAY + HOUR, allocation_id=f"N{n}", user=f"user{n}")
    ticks(2027, 7, 1, 0, 1)
    ada = enter(people.ada)
    with django_assert_max_num_queries(7):
        assert len(ada.get("/usage/statements/").context["page"]) == 16
    with django_assert_max_num_queries(7):
        ada.get(page(Statement.objects.filter(team__slug="vision")[0]))


def test_the_api_has_the_same(
    people: People,
    november: Statement,
    caller: Callable[..., Caller],  # noqa: F811  # the fixture
    django_assert_max_num_queries: Any,
) -> None:
    ada, luis, vera = (caller(person) for person in (people.ada, people.luis, people.vera))
    with django_assert_max_num_queries(5):
        listed = ada.get("/statements/").json()["results"]
    assert {one["team"] for one in listed} == {"vision", "risk"}
    (mine,) = luis.get("/statements/").json()["results"]
    detail = luis.get(f"/statements/{november.pk.lower()}/").json()
    assert detail == mine | {"lines": detail["lines"]}
    assert mine["total"] == {"amount": "0.0600", "currency": "EUR"}
    assert (mine["month"], mine["exact"], mine["rounding"], mine["unsure"]) == (
        "2026-11",
        "0.0600000000",
        "0.0000000000",
        0,
    )
    assert [(one["user"], one["quantity_seconds"], one["amount"]) for one in detail["lines"]] == [
        ("=vera", "5400.0000", "0.0300000000"),
        ("vera", "5400.0000", "0.0300000000"),
    ]
    assert vera.get("/statements/").json()["results"] == []
    assert_problem(vera.get(f"/statements/{november.pk}/"), 403)
    assert_problem(caller(people.oda).get(f"/statements/{november.pk}/"), 404)
    assert_problem(caller(people.luis, scopes=("jobs:read",)).get("/statements/"), 403)
