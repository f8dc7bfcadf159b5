"""Sums over usage intervals: hand-computed, across midnights and clock changes, and never a second twice."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from portal.lib import clock
from portal.lib.errors import Invalid
from portal.usage import periods, reports
from portal.usage.models import UsageInterval
from portal.usage.periods import Period
from portal.usage.reports import Scope
from tests.usage.test_metering import T0, interval

pytestmark = pytest.mark.django_db
DAY = 24 * 3600
NOVEMBER = Period(date(2026, 11, 1), date(2026, 11, 30))


def days(period: Period = NOVEMBER) -> list[tuple[datetime, datetime]]:
    return periods.buckets(period, "day")


def test_an_interval_is_shared_out_among_the_days_it_lies_in() -> None:
    interval(DAY - 1800, DAY + 5400)
    found = reports.sums(Scope(), days())
    assert {start.day: (one.cost, one.hours["cpu"]) for (start, _), one in found.items()} == {
        1: (Decimal("1.5") * 1800 * Decimal("0.02") / 3600, Decimal("0.75")),
        2: (Decimal("1.5") * 5400 * Decimal("0.02") / 3600, Decimal("2.25")),
    }


def test_what_is_open_counts_up_to_now() -> None:
    interval(0, None)
    with clock.shifted(T0 + timedelta(hours=2, seconds=1) - clock.now()):
        assert reports.total(reports.sums(Scope(), days()).values()).hours["cpu"] == Decimal("1.5") * 7201 / 3600
        assert reports.rate(Scope()) == Decimal("1.5") * Decimal("0.02")


def test_meters_are_kept_apart_and_cost_together() -> None:
    interval(0, 3600)
    interval(0, 3600, meter="memory", quantity=Decimal(4), price_per_hour=Decimal("0.005"))
    interval(0, 3600, meter="gpu", quantity=Decimal(2), price_per_hour=Decimal("2.30"), gpu_class="a100")
    whole = reports.total(reports.sums(Scope(), days()).values())
    assert dict(whole.hours) == {"cpu": Decimal("1.5"), "memory": Decimal(4), "gpu": Decimal(2)}
    assert whole.cost == Decimal("0.03") + Decimal("0.02") + Decimal("4.60")


def test_thirds_add_up() -> None:
    """A price that one second makes a never-ending fraction of comes out whole for the hour."""
    for second in range(0, 3600, 7):
        interval(second, min(second + 7, 3600), quantity=Decimal(1), price_per_hour=Decimal("0.000001"))
    assert reports.total(reports.sums(Scope(), days()).values()).cost == Decimal("0.000001")


def test_groups_and_scopes() -> None:
    interval(0, 3600)
    interval(0, 7200, allocation_id="B", user="bo", gpu_class="a100", template="python")
    interval(0, 3600, allocation_id="C", user="oda", team="risk")
    grouped = reports.by_group(reports.sums(Scope(), days(), ["team", "user"]))
    assert list(grouped) == [("vision", "bo"), ("risk", "oda"), ("vision", "vera")]
    assert set(reports.by_group(reports.sums(Scope(teams=("risk",)), days(), ["user"]))) == {("oda",)}
    assert set(reports.by_group(reports.sums(Scope(user="vera"), days(), ["user"]))) == {("vera",)}
    only = Scope(only={"gpu_class": "a100"})
    assert set(reports.by_group(reports.sums(only, days(), ["template"]))) == {("python",)}
    assert reports.sums(Scope(teams=()), days()) == {}
    with pytest.raises(KeyError):
        reports.sums(Scope(), days(), ["password"])


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("Australia/Lord_Howe", date(2026, 4, 5), Decimal("24.5")),
        ("Asia/Kolkata", date(2026, 6, 1), 24),
        ("UTC", date(2026, 12, 31), 24),  # at its end a leap second was once put in: clocks here never show it
    ],
)
def test_a_day_has_as_many_hours_as_its_clocks_showed(zone: str, day: date, hours: Decimal) -> None:
    with timezone.override(ZoneInfo(zone)):
        whole = Period(day - timedelta(days=3), day + timedelta(days=3))
        UsageInterval.objects.create(
            allocation_id="A",
            owner_kind="job",
            owner_id="J",
            meter="cpu",
            quantity=Decimal(1),
            started_at=whole.since,
            ended_at=whole.until,
            price_per_hour=Decimal(1),
            currency="EUR",
            team="vision",
            user="vera",
        )
        found = reports.sums(Scope(), days(whole))
        start = periods.midnight(day)
        assert found[start, ()].hours["cpu"] == Decimal(hours)
        by_hour = reports.total(reports.sums(Scope(), periods.buckets(whole, "hour")).values())
        assert (
            reports.total(found.values()).cost
            == by_hour.cost
            == reports.total(reports.sums(Scope(), periods.buckets(whole, "month")).values()).cost
        )


def test_what_was_at_work_is_of_what_was_measured() -> None:
    """A device for ten hours, of which six were measured and two at work; and a day that nobody measured."""
    interval(0, 36_000, meter="gpu", quantity=Decimal(1), measured=21_600, used=7_200)
    interval(DAY, DAY + 3600, meter="gpu", quantity=Decimal(2), allocation_id="B")
    found = [one for _, one in sorted(reports.sums(Scope(), days()).items())]
    assert [one.at_work for one in found] == [{"gpu": 33}, {}]
    hours = [[int(part) for part in one.hours_at_work("gpu")] for one in found]
    assert hours == [[2, 4, 4], [0, 0, 2]]
    assert not any(found[0].hours_at_work("cpu"))


def test_what_was_at_work_is_spread_over_an_interval() -> None:
    interval(-3600, 3 * 3600, measured=10_000, used=3_001)
    found = reports.sums(Scope(), periods.buckets(Period(date(2026, 10, 1), date(2026, 11, 30)), "month"))
    parts = [(int(one.measured["cpu"]), int(one.used["cpu"])) for _, one in sorted(found.items())]
    assert parts == [(2500, 750), (7500, 2251)]


def test_a_month_boundary_divides() -> None:
    interval(-3600, 3600)
    period = Period(date(2026, 10, 1), date(2026, 11, 30))
    found = reports.sums(Scope(), periods.buckets(period, "month"))
    hours = {start.month: one.hours["cpu"] for (start, _), one in found.items()}
    assert hours == {10: Decimal("1.5"), 11: Decimal("1.5")}


def test_periods_have_names_and_steps_have_bounds() -> None:
    with clock.shifted(datetime(2026, 3, 1, 12, tzinfo=UTC) - clock.now()):
        assert periods.named("month") == Period(date(2026, 3, 1), date(2026, 3, 1))
        assert periods.named("last-month") == Period(date(2026, 2, 1), date(2026, 2, 28))
        assert periods.named("7") == Period(date(2026, 2, 23), date(2026, 3, 1))
        assert periods.named("nonsense") == periods.named("month")
        assert periods.named("2026-02") == Period(date(2026, 2, 1), date(2026, 2, 28))
        assert periods.named("2026-03-01") == Period(date(2026, 3, 1), date(2026, 3, 1))
        for unknown in ("2026-03-02", "2026-13", "2026-02-30", "2026-02-1", "9999-12", "٢٠٢٦-01", "2026-02\n"):
            assert periods.dated(unknown) is None
    assert NOVEMBER.before == Period(date(2026, 10, 2), date(2026, 10, 31))
    years = Period(date(2000, 1, 1), date(2026, 1, 1))
    for interval_name in ("hour", "day", "week", ""):
        with pytest.raises(Invalid):
            periods.buckets(years, interval_name)
    assert len(periods.buckets(years, "month")) == 26 * 12 + 1


SPANS = st.lists(st.tuples(st.integers(0, 40 * DAY), st.integers(0, 3 * DAY)), max_size=8)


class AnySpans(TestCase):
    """However intervals lie, the parts in all buckets are the whole."""

    @given(SPANS, st.sampled_from(["hour", "day", "month"]))
    def test_the_parts_are_the_whole(self, spans: list[tuple[int, int]], step: str) -> None:
        for n, (begin, length) in enumerate(spans):
            interval(begin, begin + length, allocation_id=f"A{n}", measured=length * 0.9, used=length / 3)
        period = Period(date(2026, 11, 1), date(2026, 11, 30))
        end = 30 * DAY
        seconds = sum(max(min(begin + length, end) - begin, 0) for begin, length in spans if begin < end)
        whole = reports.total(reports.sums(Scope(), periods.buckets(period, step), ["user"]).values())
        assert whole.held["cpu"] == Decimal("1.5") * seconds
        assert whole.spent == Decimal("1.5") * seconds * Decimal("0.02")
        inside = [length for begin, length in spans if begin + length <= end]
        if len(inside) == len(spans):
            assert whole.measured.get("cpu", 0) == sum(int(length * 0.9) for length in inside)
            assert whole.used.get("cpu", 0) == sum(int(length / 3) for length in inside)
