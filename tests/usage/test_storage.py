"""Storage: an interval for each volume and size, from when it was measured, at the price of its time, billed."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from portal.accounts.actions import create_team
from portal.compute.models import GIB
from portal.lib.clock import month_of
from portal.usage import costs, metering, reports, statements, storage, totals
from portal.usage.models import Statement, UsageInterval
from portal.usage.reports import Scope
from portal.usage.storage import Payer
from tests.api.conftest import Caller, caller  # noqa: F401  # a fixture
from tests.conftest import People
from tests.usage.test_metering import T0, interval
from tests.usage.test_pages import enter, shown
from tests.usage.test_prices import after, at, begin, pieces, publish, spent

pytestmark = pytest.mark.django_db
DAY = 24 * 3600
VERA = Payer("vision", "vera")
WHO = st.sampled_from(["vera", "bo"])
HOME = "01HOME00000000000000000000"


def hold(second: int, gib: float, payer: Payer = VERA, volume: str = HOME) -> None:
    with at(after(second)):
        storage.hold(volume, int(gib * GIB), payer)


def sizes() -> list[Any]:
    """From and to, in seconds since T0, and GiB."""
    rows = UsageInterval.objects.order_by("started_at", "ended_at")
    return [
        (
            (row.started_at - T0).total_seconds(),
            row.ended_at and (row.ended_at - T0).total_seconds(),
            row.quantity,
        )
        for row in rows
    ]


def test_it_counts_from_when_it_was_measured_and_another_size_begins_another_interval() -> None:
    hold(0, 3)
    hold(1800, 3.004)  # the same, in hundredths
    hold(3600, 5.25)
    hold(7200, 0)
    hold(9000, 0)
    hold(9100, 1)
    assert sizes() == [(0, 3600, 3), (3600, 7200, Decimal("5.25")), (9100, None, 1)]
    row = UsageInterval.objects.first()
    assert row is not None
    assert (row.owner_kind, row.owner_id, row.team, row.user) == ("files", HOME, "vision", "vera")
    assert (row.template, row.node, row.gpu_class, row.project) == ("", "", "", "")


def test_whoever_pays_from_now_on_does_so_in_an_interval_of_their_own() -> None:
    hold(0, 3)
    hold(60, 3, Payer("risk", "vera"))
    hold(120, 3, Payer("risk", "vera", "churn"))
    found = UsageInterval.objects.order_by("started_at").values_list("team", "project", "ended_at")
    assert list(found) == [("vision", "", after(60)), ("risk", "", after(120)), ("risk", "churn", None)]


def test_what_people_are_rid_of_costs_nothing_since_then() -> None:
    hold(0, 3)
    for second in (900, 950):
        storage.release(HOME, after(second))
    assert sizes() == [(0, 900, 3)]


def test_a_price_divides_it_by_the_next_tick_and_what_ended_before_stays() -> None:
    publish(after(0), storage="0.0001")
    hold(0, 2)
    hold(0, 4, volume="B")
    storage.release("B", after(10))
    publish(after(600), storage="0.0003")
    with at(after(601)):
        storage.divide()
        storage.divide()
    assert pieces("storage", allocation_id=HOME) == [(0, 600, Decimal("0.0001")), (600, None, Decimal("0.0003"))]
    assert pieces("storage", allocation_id="B") == [(0, 10, Decimal("0.0001"))]


def test_what_runs_is_divided_when_it_is_seen_whatever_lies_there() -> None:
    publish(after(0), storage="0.0001", cpu="1")
    running = begin(after(0))
    hold(0, 2)
    publish(after(600), storage="0.0003", cpu="2")
    with at(after(700)):
        metering.divide()
    assert pieces() == [(0, None, 1)]
    assert pieces("storage") == [(0, None, Decimal("0.0001"))]
    assert running.pk != HOME


def test_running_now_does_not_count_it() -> None:
    publish(after(0), storage="1", cpu="2", memory="0")
    begin(after(0))
    hold(0, 2)
    assert reports.rate(Scope()) == 2
    assert costs.current_rate("vera").amount == 2


def test_a_month_is_stated_without_waiting_for_it_and_billed_at_both_prices(people: People) -> None:
    publish(after(0), storage="0.0001")
    hold(0, 2)
    publish(after(10 * DAY), storage="0.0002")
    with at(datetime(2026, 12, 1, 0, 5, tzinfo=UTC)):
        assert statements.make_due()
    stated = Statement.objects.get()
    lines: list[Any] = [
        (line.label, line.what, line.unit, line.held, line.price_per_hour) for line in statements.lines(stated)
    ]
    assert lines == [
        ("Storage", "files", "GB hours", 2 * 10 * DAY, Decimal("0.0001")),
        ("Storage", "files", "GB hours", 2 * 20 * DAY, Decimal("0.0002")),
    ]
    assert (stated.unsure, statements.exact(stated)) == (0, Decimal("0.24"))


def test_totals_and_the_ledger_say_the_same() -> None:
    publish(after(0), storage="0.0001")
    hold(0, 2)
    hold(DAY + 5, 7)
    hold(3 * DAY, 0)
    before = reports.sums(Scope(), [month_of(T0)], ["kind"])
    while totals.add_up():
        pass
    [(_, one)] = before.items()
    assert reports.sums(Scope(), [month_of(T0)], ["kind"]) == before
    assert one.held == {"storage": 2 * (DAY + 5) + 7 * (2 * DAY - 5)}
    assert totals.differences() == {}


def test_pages_export_and_api_show_it(people: People, caller: Callable[..., Caller]) -> None:  # noqa: F811
    publish(after(0), storage="0.0001")
    hold(0, 100, Payer("vision", people.ada.username))
    hold(0, 50, Payer("vision"), "B")
    with at(after(2 * DAY)):
        client = enter(people.ada)
        page = shown(client, "?scope=team:vision&period=month")
        for part in ("Files, on average", "150.0 GB", "<td>100.0</td>", "<td>50.0</td>", ">everybody</a>", "€ 0.72"):
            assert part in page
        assert "Files" in shown(client, "?scope=team:vision&by=kind")
        assert "without an environment" in shown(client, "?scope=team:vision&by=template")
        export = client.get("/usage/export/?scope=team:vision&by=kind").getvalue().decode()
        assert export.splitlines()[0].endswith(",storage_gib_hours")
        assert export.splitlines()[1].endswith(",3600.0000")
        answer = caller(people.ada).get("/usage/?scope=team:vision&interval=month").json()
        assert [row["storage_gib_seconds"] for row in answer["results"]] == [150 * 2 * DAY]


def test_a_team_without_a_name_for_its_payer_is_an_administrators_to_see(people: People, client: Client) -> None:
    hold(0, 10, Payer())
    with at(after(60)):
        assert "without a team" in shown(enter(people.ada), "?scope=all&by=team")


class Traces(TestCase):
    @given(
        volumes=st.lists(
            st.tuples(
                st.integers(0, 5000), st.none() | st.integers(0, 5000), st.integers(1, 3), st.integers(0, 3), WHO
            ),
            max_size=8,
        )
    )
    def test_volumes_that_are_added_up_together_are_what_each_of_them_is(self, volumes: Any) -> None:
        """At 9000 s; steps of 700 s in which some begin, end, and go on."""
        wanted: dict[tuple[datetime, tuple[str]], tuple[Decimal, Decimal]] = {}
        for n, (start, length, size, price, user) in enumerate(volumes):
            end = None if length is None else start + length
            values = {"quantity": Decimal(size), "price_per_hour": Decimal(price), "user": user}
            interval(start, end, meter="storage", allocation_id=f"V{n}", **values)
            for step in range(1000, 10_100, 700):
                seconds = min(step + 700, 9000 if end is None else end) - max(step, start)
                if seconds > 0:
                    held, cost = wanted.get((after(step), (user,)), (Decimal(0), Decimal(0)))
                    wanted[after(step), (user,)] = (held + size * seconds, cost + size * price * seconds)
        with at(after(9000)):
            found = reports.sums(Scope(), [(after(n), after(n + 700)) for n in range(1000, 10_100, 700)], ["user"])
        assert {key: (one.held["storage"], one.spent) for key, one in found.items()} == wanted

    @given(
        steps=st.lists(
            st.tuples(
                st.integers(1, 4000),
                st.one_of(st.integers(0, 3), st.just("price"), st.just("tick"), st.just("gone")),
            ),
            max_size=12,
        )
    )
    def test_whatever_is_measured_and_whenever_prices_change_its_integral_is_billed(self, steps: Any) -> None:
        create_team("vision", "Vision", actor="test")
        now, size, price, wanted = 0, 0, 0, Decimal(0)
        for wait, what in steps:
            wanted += size * price * wait
            now += wait
            if what == "price":
                price = now % 7 + 1
                publish(after(now), storage=str(price))
            elif what == "tick":
                with at(after(now)):
                    storage.divide()
            elif what == "gone":
                size = 0
                storage.release(HOME, after(now))
            else:
                size = what
                hold(now, what)
        storage.release(HOME, after(now))
        assert spent() == wanted
