"""A price that changes while something runs: hand-computed, divided at its second, and never beyond what was seen."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from environments import actions
from portal.accounts.actions import create_team, create_user
from portal.accounts.models import Team, User
from portal.audit.models import AuditEvent
from portal.compute import ticking
from portal.compute.models import GIB, Allocation, Node, Size
from portal.compute.reconcile import reconcile
from portal.compute.specs import container_name
from portal.compute.states import Phase, Reason
from portal.compute.transitions import move
from portal.invariants import violations
from portal.lib import clock
from portal.lib.ids import new_id
from portal.quotas.models import GpuClass
from portal.usage import metering, periods, reports, statements, totals
from portal.usage.actions import publish_prices
from portal.usage.models import Price, UsageInterval
from portal.usage.periods import Period
from portal.usage.reports import Scope
from tests.usage.test_statements import NOVEMBER, stated, ticks, told

pytestmark = pytest.mark.django_db
T0 = datetime(2026, 11, 1, tzinfo=UTC)
HOUR = 3600


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


@contextmanager
def at(moment: datetime) -> Iterator[None]:
    """It is exactly then, and stays so."""
    with clock.stopped(), clock.shifted(moment - clock.now()):
        yield


def publish(moment: datetime, currency: str = "EUR", **per_hour: str) -> None:
    """SKUs are written with `_` for `-`."""
    with at(moment):
        wanted = {sku.replace("_", "-"): Decimal(amount) for sku, amount in per_hour.items()}
        publish_prices(wanted, currency, actor="ada")


def allocate(cpu: str = "1", gib: int = 2, gpus: int = 0) -> Allocation:
    """Something of team vision that has a place and has not begun."""
    team = Team.objects.filter(slug="vision").first() or create_team("vision", "Vision", actor="test")
    user = User.objects.filter(username="vera").first()
    user = user or create_user("vera", "Vera Rosén", "correct-horse-battery", actor="test")
    gpu = GpuClass.objects.get_or_create(slug="a100", defaults={"memory_gib": 80})[0] if gpus else None
    room: dict[str, Any] = {"cpu": 640, "memory": 999 * GIB, "schedulable_cpu": 640, "schedulable_memory": 999 * GIB}
    size = {"cpu": Decimal(cpu), "gpu_class": gpu, "gpu_count": gpus}
    slug = f"{cpu}-{gib}-{gpus}"
    return Allocation.objects.create(
        owner_kind="workspace",
        owner_id=new_id(),
        user=user,
        team=team,
        size=Size.objects.get_or_create(slug=slug, defaults=size | {"memory_gib": Decimal(gib)})[0],
        memory=gib * GIB,
        spec={"template": "jupyter-python"},
        node=Node.objects.get_or_create(name="node-1", defaults=room)[0],
        phase=Phase.RUNNING,
        **size,
    )


def begin(moment: datetime, **size: Any) -> Allocation:
    made = allocate(**size)
    Allocation.objects.filter(pk=made.pk).update(started_at=moment, confirmed_at=moment)
    made.refresh_from_db()
    metering.open_intervals(made)
    return made


def see(allocation: Allocation, moment: datetime) -> None:
    """It is seen running then, and a tick follows."""
    Allocation.objects.filter(pk=allocation.pk).update(confirmed_at=moment)
    with at(moment):
        metering.divide()


def end(allocation: Allocation, moment: datetime) -> None:
    metering.close(allocation.pk, moment)


def pieces(meter: str = "cpu", **only: Any) -> list[Any]:
    """Of each: from and to, in seconds since T0, and the price."""
    rows = UsageInterval.objects.filter(meter=meter, **only).order_by("allocation_id", "started_at")
    return [
        (
            (row.started_at - T0).total_seconds(),
            (row.ended_at - T0).total_seconds() if row.ended_at else None,
            row.price_per_hour,
        )
        for row in rows
    ]


def spent() -> Decimal:
    """Quantity × seconds × price per hour of all that has ended."""
    rows = UsageInterval.objects.exclude(ended_at=None)
    return sum(
        (row.quantity * int((row.ended_at - row.started_at).total_seconds()) * row.price_per_hour for row in rows),  # type: ignore[operator]
        Decimal(0),
    )


def test_a_price_that_changes_mid_run_divides_to_the_last_digit() -> None:
    publish(T0, cpu="0.02", memory="0.005", gpu_a100="2.30")
    small, large = begin(after(100)), begin(after(200), cpu="4", gib=16, gpus=2)
    publish(after(1000), cpu="0.031", memory="0.005", gpu_a100="1.999999")
    for one in (small, large):
        see(one, after(1001))
    assert pieces(allocation_id=small.pk) == [(100, 1000, Decimal("0.02")), (1000, None, Decimal("0.031"))]
    assert pieces("memory", allocation_id=small.pk) == [(100, None, Decimal("0.005"))]  # the same price divides nothing
    end(small, after(3701))
    end(large, after(1801))
    cores = (900 + 4 * 800) * Decimal("0.02") + (2701 + 4 * 801) * Decimal("0.031")
    memory = (2 * 3601 + 16 * 1601) * Decimal("0.005")
    devices = 2 * 800 * Decimal("2.30") + 2 * 801 * Decimal("1.999999")
    assert (cores, memory, devices) == (Decimal("265.055"), Decimal("164.09"), Decimal("6883.998398"))
    assert spent() == cores + memory + devices
    assert not UsageInterval.objects.filter(ended_at=None).exists()


def test_the_pieces_are_of_the_same_thing() -> None:
    publish(T0, gpu_a100="1")
    one = begin(T0, gpus=2)
    publish(after(60), gpu_a100="2")
    end(one, after(120))
    kept = ("owner_kind", "owner_id", "quantity", "team", "user", "template", "gpu_class", "node", "currency")
    assert UsageInterval.objects.filter(meter="gpu").values_list(*kept).distinct().count() == 1
    assert UsageInterval.objects.filter(meter="gpu").count() == 2


def test_what_nobody_has_seen_since_is_not_billed_beyond() -> None:
    """It was last seen at 500 and the price changed at 1000; only then it is known to have been gone, or to run."""
    publish(T0, cpu="1")
    lost, back = begin(T0), begin(T0)
    for one in (lost, back):
        see(one, after(500))
    publish(after(1000), cpu="2")
    with at(after(5000)):
        metering.divide()
    assert pieces() == [(0, None, 1)] * 2
    end(lost, after(500))
    see(back, after(6000))
    assert pieces(allocation_id=lost.pk) == [(0, 500, 1)]
    assert pieces(allocation_id=back.pk) == [(0, 1000, 1), (1000, None, 2)]


def test_an_ending_that_is_learnt_of_later_is_divided_up_to_it() -> None:
    """Three prices while the engine was silent; the engine says that it ended between the last two."""
    publish(T0, cpu="1")
    before, between = begin(T0), begin(T0)
    for second, amount in ((100, "2"), (200, "1"), (300, "3")):
        publish(after(second), cpu=amount)
    end(before, after(100))
    end(between, after(250))
    assert pieces(allocation_id=before.pk) == [(0, 100, 1)]
    assert pieces(allocation_id=between.pk) == [(0, 100, 1), (100, 200, 2), (200, 250, 1)]
    assert spent() == 100 + 100 + 2 * 100 + 50


def test_a_restart_goes_on_at_the_new_price_and_begins_nothing_twice() -> None:
    publish(T0, cpu="1")
    one = begin(T0)
    publish(after(50), cpu="2")
    see(one, after(60))
    metering.open_intervals(one)
    end(one, after(100))
    assert pieces() == [(0, 50, 1), (50, 100, 2)]


def test_what_was_measured_stays_with_what_was_open_then() -> None:
    publish(T0 - timedelta(hours=1), cpu="0.02")
    row = begin(T0)
    metering.measured(row, 100, {"cpu": 40.0})
    publish(after(1000), cpu="0.05")
    see(row, after(2000))
    metering.measured(row, 50, {"cpu": 10.0})
    assert list(UsageInterval.objects.filter(meter="cpu").order_by("started_at").values_list("measured", "used")) == [
        (100, 40),
        (50, 10),
    ]


def test_what_began_while_a_price_was_published_costs_what_was_valid_then() -> None:
    """It did not see the price that another transaction was publishing for a second before."""
    publish(T0, cpu="1")
    one = begin(after(11))
    Price.objects.create(sku="cpu", per_hour=2, currency="EUR", valid_from=after(10), published_by="ada")
    see(one, after(12))
    assert pieces() == [(11, None, 2)]


def test_before_the_first_price_it_is_free_and_free_stays_undivided() -> None:
    free, priced = begin(T0), begin(T0)
    publish(after(10), cpu="0", memory="1")
    for one in (free, priced):
        end(one, after(HOUR + 10))
    assert pieces() == [(0, HOUR + 10, 0)] * 2
    assert pieces("memory") == [(0, 10, 0), (10, HOUR + 10, 1)] * 2


def test_prices_begin_at_whole_seconds_and_follow_each_other() -> None:
    publish(after(0.9), cpu="1", memory="1")
    publish(after(0.95), cpu="2", memory="1")
    publish(after(0.99), cpu="2", memory="1")
    found: list[Any] = [(row.sku, row.valid_from, row.per_hour, row.published_by) for row in Price.objects.all()]
    assert found == [("cpu", T0, 1, "ada"), ("cpu", after(1), 2, "ada"), ("memory", T0, 1, "ada")]
    assert AuditEvent.objects.filter(verb="price.publish", target="price-cpu").count() == 2
    with pytest.raises(IntegrityError), transaction.atomic():
        Price.objects.create(sku="cpu", per_hour=1, currency="EUR", valid_from=after(5.5), published_by="ada")


@pytest.mark.parametrize(
    ("zone", "day", "seconds"),
    [
        ("Europe/Berlin", date(2026, 3, 29), 23 * HOUR),
        ("Europe/Berlin", date(2026, 10, 25), 25 * HOUR),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24 * HOUR + 1800),  # clocks are put back by half an hour
        ("Asia/Kolkata", date(2026, 6, 1), 24 * HOUR),  # its midnight is 18:30 UTC
        ("UTC", date(2016, 12, 31), 24 * HOUR),  # clocks here do not show the leap second at its end: it is not billed
    ],
)
def test_a_day_is_divided_by_what_its_clocks_showed(zone: str, day: date, seconds: int) -> None:
    """The price doubles six hours before the end of a day."""
    with timezone.override(ZoneInfo(zone)):
        start, stop = periods.midnight(day), periods.midnight(day + timedelta(days=1))
        publish(start - timedelta(days=1), cpu="0.000001")
        one = begin(start - timedelta(hours=1))
        publish(stop - timedelta(hours=6), cpu="0.000002")
        end(one, stop + timedelta(hours=1))
        found = reports.sums(Scope(), periods.buckets(Period(day, day), "day"))
    assert found[start, ()].held["cpu"] == seconds
    assert found[start, ()].spent == (seconds + 6 * HOUR) * Decimal("0.000001")


def test_the_second_around_a_leap_second_is_one() -> None:
    """23:59:60 does not exist for Python or PostgreSQL; the clocks of machines go slower or stand still meanwhile."""
    new_year = datetime(2017, 1, 1, tzinfo=UTC)
    publish(new_year - timedelta(days=1), cpu="1")
    one = begin(new_year - timedelta(seconds=1))
    publish(new_year, cpu="7")
    end(one, new_year + timedelta(seconds=1))
    assert spent() == 1 + 7


def test_a_change_at_the_end_of_a_month_is_billed_in_each_at_its_price() -> None:
    month = 30 * 24 * HOUR
    publish(T0, cpu="0.02")
    one = begin(after(month - HOUR))
    publish(after(month), cpu="0.03")
    see(one, after(month + 1))
    end(one, after(month + HOUR))
    ticks(2027, 1, 1, 0, 1)
    assert told(stated(NOVEMBER)) == [
        ("11", "vera", Decimal(1), Decimal("0.02")),
        ("11", "vera", Decimal(2), Decimal(0)),
    ]
    assert told(stated(date(2026, 12, 1))) == [
        ("12", "vera", Decimal(1), Decimal("0.03")),
        ("12", "vera", Decimal(2), Decimal(0)),
    ]


def test_a_statement_that_was_made_without_knowing_is_corrected_at_both_prices() -> None:
    """It bills the open interval to the end of the month at the old price; then it turns out to have run all along."""
    month = 30 * 24 * HOUR
    publish(T0, cpu="0.02")
    one = begin(after(month - 10 * HOUR))
    publish(after(month - 4 * HOUR), cpu="0.05")
    ticks(2026, 12, 4, 0, 1)
    assert (stated(NOVEMBER).total, stated(NOVEMBER).unsure) == (Decimal("0.20"), 2)
    see(one, after(month + 5 * 24 * HOUR))
    end(one, after(month + 5 * 24 * HOUR))
    ticks(2027, 1, 1, 0, 1)
    lines = [line for line in statements.lines(stated(date(2026, 12, 1))) if line.month == NOVEMBER]
    assert [(line.price_per_hour, line.hours, line.amount) for line in lines] == [
        (Decimal("0.02"), Decimal(-4), Decimal("-0.08")),
        (Decimal("0.05"), Decimal(4), Decimal("0.20")),
    ]
    assert stated(date(2026, 12, 1)).total == Decimal("0.12") + 5 * 24 * Decimal("0.05")
    assert violations() == []


def test_a_statement_of_what_is_known_has_both_prices_at_once() -> None:
    """Seen in the next month, and no tick since: the statement divides it first."""
    month = 30 * 24 * HOUR
    publish(T0, cpu="0.02")
    one = begin(after(month - 2 * HOUR))
    publish(after(month - HOUR), cpu="0.03")
    Allocation.objects.filter(pk=one.pk).update(confirmed_at=after(month + 1))
    ticks(2026, 12, 1, 0, 1)
    assert stated(NOVEMBER).total == Decimal("0.05")


def test_another_currency_divides_and_is_stated_apart() -> None:
    publish(T0, cpu="1")
    one = begin(T0)
    publish(after(HOUR), currency="USD", cpu="1")
    see(one, after(HOUR + 1))
    end(one, after(3 * HOUR))
    ticks(2026, 12, 1, 0, 1)
    assert (stated(NOVEMBER).total, stated(NOVEMBER, "USD").total) == (Decimal(1), Decimal(2))


def test_however_many_run_the_questions_are_as_many(django_assert_num_queries: Any) -> None:
    publish(T0, cpu="1", memory="1")
    for count, hour in ((2, 2), (20, 3)):
        for _ in range(count):
            begin(after((hour - 1) * HOUR + 1))
        publish(after(hour * HOUR), cpu=str(hour), memory=str(hour))
        Allocation.objects.update(confirmed_at=after(hour * HOUR + 1))
        with at(after(hour * HOUR + 2)):
            with django_assert_num_queries(9):
                metering.divide()
            assert not UsageInterval.objects.filter(ended_at=None).exclude(price_per_hour=hour).exists()
            with django_assert_num_queries(4):  # nothing is left to do
                metering.divide()


@pytest.mark.django_db(transaction=True)
def test_ticks_and_an_ending_at_once_lose_and_double_nothing(
    make_workspace: Callable[..., Any], settle: Callable[..., None]
) -> None:
    Price.objects.all().delete()
    publish(T0, cpu="1")
    with at(T0):
        workspace = make_workspace()
        settle()
    publish(after(100), cpu="2")
    with at(after(201)):
        allocation = Allocation.objects.get(pk=workspace.allocation_id)
        Allocation.objects.filter(pk=allocation.pk).update(confirmed_at=after(101))
        together = threading.Barrier(4)

        def work(step: Callable[[], object]) -> None:
            together.wait()
            step()
            connection.close()

        def stop() -> bool:
            return move(allocation, Phase.ENDED, actor="t", reason=Reason.STOPPED, fenced=False, ended_at=after(200))

        threads = [threading.Thread(target=work, args=[step]) for step in [metering.divide] * 3 + [stop]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert pieces() == [(0, 100, 1), (100, 200, 2)]


def test_through_the_engine_one_runs_past_the_new_price_and_one_is_gone_before(
    make_workspace: Callable[..., Any], settle: Callable[..., None], fake_engine: Any
) -> None:
    Price.objects.all().delete()
    publish(T0, cpu="1")
    with at(T0):
        kept, gone = make_workspace(), make_workspace()
        settle()
    publish(after(600), cpu="2")
    with at(after(900)):
        fake_engine.vanish(container_name(Allocation.objects.get(pk=gone.allocation_id)))
        settle()
        ticking.tick("worker", reconcile)
        assert pieces(allocation_id=kept.allocation_id) == [(0, 600, 1), (600, None, 2)]
    with at(after(1000)):
        actions.stop(kept, actor="vera")
        settle()
    assert pieces(allocation_id=kept.allocation_id) == [(0, 600, 1), (600, 1000, 2)]
    assert pieces(allocation_id=gone.allocation_id) == [(0, 0, 1)]


@dataclass
class Run:
    """One trace, as the test itself knows it: from its start to what was last seen, or to the engine's word."""

    allocation: Allocation
    start: datetime
    seen: datetime
    end: datetime | None = None


@dataclass
class World:
    """Does each step to Berth, and keeps what should come out."""

    now: datetime = T0
    published: list[tuple[datetime, Decimal]] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)

    def step(self, what: str, which: int, amount: int) -> None:
        running = [run for run in self.runs if run.end is None]
        run = running[which % len(running)] if running else None
        if what == "price":
            publish(self.now, cpu=f"{amount / 1_000_000:f}")
            self.published.append((self.now, Decimal(amount) / 1_000_000))
        elif what == "start":
            self.runs.append(Run(begin(self.now), self.now, self.now))
        elif run and what == "see":
            Allocation.objects.filter(pk=run.allocation.pk).update(confirmed_at=self.now)
            run.seen = self.now
        elif run and what in ("stop", "lost"):  # the engine's word may be of any second since
            run.end = run.seen + (self.now - run.seen) * (amount % 4) // 3 if what == "stop" else run.seen
            run.end = min(run.end, self.now).replace(microsecond=0)
            end(run.allocation, run.end)
        elif what == "tick":
            with at(self.now):
                metering.divide()
        elif what == "total":
            totals.add_up(amount % 5 + 1)
        elif what == "crash":
            with pytest.raises(KeyboardInterrupt), transaction.atomic():
                totals.add_up()
                raise KeyboardInterrupt

    def integral(self) -> Decimal:
        """Of the price over what ran, in seconds × price per hour."""
        edges = [*self.published, (datetime.max.replace(tzinfo=UTC), Decimal(0))]
        whole = Decimal(0)
        for run in self.runs:
            for (since, price), (until, _) in pairwise(edges):
                shared = min(run.end or run.seen, until) - max(run.start, since)
                whole += max(int(shared.total_seconds()), 0) * price
        return whole


WHAT = st.sampled_from(["start", "start", "see", "see", "tick", "price", "stop", "lost", "total", "crash"])
STEPS = st.lists(
    st.tuples(st.integers(1, 50_000), WHAT, st.integers(0, 9), st.integers(0, 9_999_999)), min_size=20, max_size=60
)

MONTHS = periods.buckets(Period(date(2026, 11, 1), date(2026, 12, 31)), "month")


class AnyTrace(TestCase):
    """Whatever starts, stops, is killed or lost, whenever prices change or adding up is cut off: what ran is billed."""

    @settings(max_examples=30)  # of some ten traces each: a thousand would take minutes
    @given(STEPS)
    def test_the_intervals_are_the_integral_of_the_price(self, steps: list[tuple[int, str, int, int]]) -> None:
        world = World()
        for gap, what, which, amount in steps:
            world.now += timedelta(seconds=gap)
            world.step(what, which, amount)
        for run in world.runs:
            if run.end is None:
                end(run.allocation, run.seen)
        for _ in range(2):  # with what is not added up yet, and with everything
            assert spent() == world.integral()
            assert reports.total(reports.sums(Scope(), MONTHS).values()).spent == world.integral()
            assert violations() == []
            while totals.add_up():
                pass
