"""Numbers as people say them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from portal.lib import words
from portal.lib.money import Money

NOW = datetime(2026, 11, 21, 14, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0.0 s"),
        (0, "0.0 s"),
        (8.31, "8.3 s"),
        (9.96, "10 s"),
        (42, "42 s"),
        (59.7, "1 min"),
        (75, "1 min 15 s"),
        (16 * 60 + 4, "16 min"),
        (3 * 3600 + 12 * 60, "3 h 12 m"),
        (7200, "2 h"),
        (52 * 3600, "2 d 4 h"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(seconds=3), "just now"),
        (timedelta(seconds=48), "48 s ago"),
        (timedelta(minutes=12), "12 min ago"),
        (timedelta(hours=3), "3 h ago"),
        (timedelta(hours=30), "1 day ago"),
        (timedelta(days=6), "6 days ago"),
        (-timedelta(days=6), "in 6 days"),
        (timedelta(days=31), "21 Oct 2026"),
    ],
)
def test_moment(ago: timedelta, text: str) -> None:
    assert words.moment(NOW - ago, NOW) == text


@pytest.mark.parametrize(
    ("zone", "exactly", "clock"),
    [
        ("UTC", "21 Nov 2026, 14:02 UTC", "14:02 UTC"),
        ("Europe/Berlin", "21 Nov 2026, 15:02 CET", "15:02 CET"),
        ("Asia/Tokyo", "21 Nov 2026, 23:02 JST", "23:02 JST"),
        ("Pacific/Kiritimati", "22 Nov 2026, 04:02 UTC+14", "04:02 UTC+14"),
        ("America/Sao_Paulo", "21 Nov 2026, 11:02 UTC-03", "11:02 UTC-03"),
        ("Etc/GMT+5", "21 Nov 2026, 09:02 UTC-05", "09:02 UTC-05"),
    ],
)
def test_times_are_those_of_the_zone_and_name_it(zone: str, exactly: str, clock: str) -> None:
    with timezone.override(zone):
        assert (words.exactly(NOW), words.clock(NOW)) == (exactly, clock)
        assert words.exactly(NOW).startswith(words.day(NOW))


def test_times_are_in_utc_where_no_zone_is_known() -> None:
    assert words.exactly(NOW) == "21 Nov 2026, 14:02 UTC"


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0.06", "€ 0.06"),
        ("2.405", "€ 2.40"),
        ("0", "€ 0.00"),
        ("0.0042", "€ 0.0042"),
        ("0.00001", "< € 0.0001"),
        ("1218", "€ 1,218.00"),
    ],
)
def test_money(amount: str, text: str) -> None:
    assert words.money(Money(Decimal(amount), "EUR")) == text


def test_money_in_another_currency_names_it() -> None:
    assert words.money(Money(Decimal(3), "CHF")) == "CHF 3.00"


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (41 * 1024, "41 kB"), (96 * 1024**2, "96 MB"), (1.4 * 1024**3, "1.4 GB"), (2 * 1024**4, "2.0 TB")],
)
def test_size(count: float, text: str) -> None:
    assert words.size(count) == text
