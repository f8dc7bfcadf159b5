"""Due times: fixed times on days when the clocks change, in several zones, and nonsense refused by field."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs import cron
from portal.lib.errors import Invalid

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/St_Johns",
    "Africa/Casablanca",
)
CHANGES = {
    "Europe/Berlin": (date(2026, 3, 29), date(2026, 10, 25)),
    "America/New_York": (date(2026, 3, 8), date(2026, 11, 1)),
    "Australia/Lord_Howe": (date(2026, 10, 4), date(2026, 4, 5)),
    "America/St_Johns": (date(2026, 3, 8), date(2026, 11, 1)),
}
"""Days on which the clocks are put forward, and back."""


def local(text: str, zone: str, days: int = 1) -> list[str]:
    """When it is due from noon of the day before on, by the wall clock there."""
    day, expression = text.split(" ", 1)
    noon = datetime.fromisoformat(day).replace(hour=12, tzinfo=ZoneInfo(zone)) - timedelta(days=1)
    until = noon + timedelta(days=days, hours=12)
    found = islice(cron.following(expression, zone, noon.astimezone(UTC)), 100)
    return [at.astimezone(ZoneInfo(zone)).isoformat() for at in found if at < until]


def test_a_time_that_the_clocks_skip_comes_at_the_end_of_the_gap() -> None:
    assert local("2026-03-29 30 2 * * *", "Europe/Berlin") == ["2026-03-29T03:00:00+02:00"]
    assert local("2026-03-08 0,30 2 * * *", "America/New_York") == ["2026-03-08T03:00:00-04:00"]
    assert local("2026-10-04 15 2 * * *", "Australia/Lord_Howe") == ["2026-10-04T02:30:00+11:00"]


def test_a_time_that_comes_twice_counts_the_first_time() -> None:
    assert local("2026-10-25 30 2 * * *", "Europe/Berlin") == ["2026-10-25T02:30:00+02:00"]
    assert local("2026-11-01 30 1 * * *", "America/New_York") == ["2026-11-01T01:30:00-04:00"]
    assert local("2026-04-05 45 1 * * *", "Australia/Lord_Howe") == ["2026-04-05T01:45:00+11:00"]


def test_what_is_due_each_hour_goes_by_the_time_that_passes() -> None:
    hours = local("2026-10-25 30 * * * *", "Europe/Berlin")
    assert [hour[11:] for hour in hours if hour[11:13] == "02"] == ["02:30:00+02:00", "02:30:00+01:00"]


def test_asked_in_the_second_of_two_equal_hours_it_does_not_come_again() -> None:
    second = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)  # 2:10 in Berlin for the second time
    assert cron.first_after("30 2 * * *", "Europe/Berlin", second) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


@given(
    zone=st.sampled_from(sorted(CHANGES)),
    forward=st.booleans(),
    minute=st.integers(0, 59),
    hour=st.integers(0, 23),
    begin=st.integers(0, 1440),
)
def test_a_daily_time_is_due_once_a_day_wherever_one_begins(
    zone: str, forward: bool, minute: int, hour: int, begin: int
) -> None:
    day = CHANGES[zone][0 if forward else 1]
    expression = f"{minute} {hour} * * *"
    start = datetime.combine(day - timedelta(days=1), time(), ZoneInfo(zone)).astimezone(UTC)
    from_start = cron.upcoming(expression, zone, start, 6)
    days = [at.astimezone(ZoneInfo(zone)).date() for at in from_start]
    assert days == [days[0] + timedelta(days=n) for n in range(6)]
    later = start + timedelta(days=1, minutes=begin)
    assert cron.upcoming(expression, zone, later, 2) == [at for at in from_start if at > later][:2]
    assert (
        cron.latest(expression, zone, from_start[0], later + timedelta(days=3))
        == [at for at in from_start if at <= later + timedelta(days=3)][-1]
    )


EXPRESSIONS = st.sampled_from(
    [
        "* * * * *",
        "*/7 * * * *",
        "0 */5 * * *",
        "30 1,2,3 * * *",
        "15 2 * * SUN",
        "0 0 31 * *",
        "0 9 * * 1-5",
        "5 4 L * *",
    ]
)


@settings(max_examples=60)
@given(EXPRESSIONS, st.sampled_from(ZONES), st.integers(1_735_700_000, 1_830_000_000))
def test_due_times_rise_and_do_not_depend_on_where_one_begins(expression: str, zone: str, second: int) -> None:
    after = datetime.fromtimestamp(second, UTC)
    found = cron.upcoming(expression, zone, after, 30)
    assert all(a < b for a, b in pairwise([after, *found]))
    assert [cron.first_after(expression, zone, at) for at in found[:-1]] == found[1:]
    assert cron.latest(expression, zone, found[0], found[-1] + timedelta(seconds=30)) == found[-1]


def test_the_latest_of_very_many_is_found_at_once() -> None:
    now = datetime(2026, 6, 1, 12, 0, 30, tzinfo=UTC)
    due = datetime(2020, 6, 1, tzinfo=UTC)
    assert cron.latest("* * * * *", "UTC", due, now) == now.replace(second=0)
    assert cron.latest("0 0 29 2 *", "UTC", due, now) == datetime(2024, 2, 29, tzinfo=UTC)
    assert cron.latest("0 0 1 6 *", "UTC", due, due) == due


@pytest.mark.parametrize(
    ("expression", "zone", "field", "said"),
    [
        ("", "UTC", "cron", "five fields"),
        ("* * * *", "UTC", "cron", "five fields"),
        ("0 * * * * *", "UTC", "cron", "five fields"),
        ("@daily", "UTC", "cron", "five fields"),
        ("60 * * * *", "UTC", "cron", "bad minute"),
        ("* 24 * * *", "UTC", "cron", "bad hour"),
        ("* * 0 * *", "UTC", "cron", "bad day-of-month"),
        ("* * * 13 *", "UTC", "cron", "bad month"),
        ("* * * * 8", "UTC", "cron", "bad day-of-week"),
        ("*/0 * * * *", "UTC", "cron", "bad minute"),
        ("0 0 30 2 *", "UTC", "cron", "bad day-of-month"),
        ("0 0 31 2,4 MON#5", "Mars/Olympus", "time_zone", "Mars/Olympus"),
        ("* * * * *", "", "time_zone", "no time zone"),
        ("* * * * *", "../../etc/passwd", "time_zone", "no time zone"),
        (f"{'1,' * 100}1 * * * *", "UTC", "cron", "five fields"),
    ],
)
def test_nonsense_is_refused_by_field(expression: str, zone: str, field: str, said: str) -> None:
    with pytest.raises(Invalid) as problem:
        cron.check(expression, zone)
    assert said in problem.value.fields[field][0]


@given(st.lists(st.text("0123456789*/,-LW#SUNJAN?²\0", min_size=1, max_size=8), min_size=5, max_size=5))
def test_no_text_breaks_it(parts: list[str]) -> None:
    try:
        cron.check(" ".join(parts), "Europe/Berlin")
    except Invalid as problem:
        assert set(problem.fields) == {"cron"}
