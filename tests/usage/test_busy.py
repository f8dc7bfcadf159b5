"""Busy hours: averages over the hours of the week, in the reader's time zone."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils import timezone

from portal.lib import clock
from portal.usage import busy, periods
from portal.usage.models import UsageInterval
from portal.usage.reports import Scope
from tests.conftest import People

pytestmark = pytest.mark.django_db

MONDAY = date(2026, 11, 2)


def held(
    began: datetime,
    ended: datetime,
    meter: str = "gpu",
    quantity: int = 2,
    price: Decimal = Decimal(0),
    **more: str,
) -> None:
    whose = {"team": "vision", "user": "vera", "owner_kind": "job", "owner_id": "x"} | more
    UsageInterval.objects.create(
        allocation_id=f"{UsageInterval.objects.count()}",
        meter=meter,
        quantity=Decimal(quantity),
        started_at=began,
        ended_at=ended,
        price_per_hour=price,
        currency="EUR",
        **whose,
    )


def four_weeks() -> periods.Period:
    return periods.Period(MONDAY, MONDAY + timedelta(days=27))


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, 2, hour, minute, tzinfo=UTC) + timedelta(days=day)


def test_an_hour_of_one_week_in_four_counts_a_quarter() -> None:
    held(at(0, 9), at(0, 10, 30))
    found = busy.averages(Scope(), "gpu", four_weeks())
    assert found.pop((0, 9)) == Decimal("0.5")
    assert found.pop((0, 10)) == Decimal("0.25")
    assert set(found.values()) == {Decimal(0)}
    assert len(found) == 7 * 24 - 2


def test_hours_are_those_of_the_reader_also_where_they_are_half_of_one_off() -> None:
    held(at(0, 18, 30), at(0, 19, 30), quantity=4)
    with timezone.override(ZoneInfo("Asia/Kolkata")):
        found = busy.averages(Scope(), "gpu", four_weeks())
    assert {hour: average for hour, average in found.items() if average} == {(1, 0): Decimal(1)}


def test_an_hour_that_comes_twice_counts_twice() -> None:
    with timezone.override(ZoneInfo("Europe/Berlin")):
        period = periods.Period(date(2026, 10, 19), date(2026, 10, 25))
        held(datetime(2026, 10, 25, 0, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC))
        assert busy.averages(Scope(), "gpu", period)[6, 2] == Decimal(1)


def test_other_meters_and_other_people_are_apart() -> None:
    held(at(0, 9), at(0, 10), meter="cpu")
    held(at(0, 9), at(0, 10), team="risk")
    assert not any(busy.averages(Scope(teams=("vision",)), "gpu", four_weeks()).values())
    assert busy.averages(Scope(teams=("risk",)), "gpu", four_weeks())[0, 9] == Decimal("0.5")


def test_the_page_shows_who_may_see_what(people: People, client: Client, standing_still: None) -> None:
    def shown(user: Any, query: str = "") -> str:
        client.force_login(user, "django.contrib.auth.backends.ModelBackend")
        answer = client.get(f"/usage/busy/{query}")
        return " ".join(answer.content.decode().split()) if answer.status_code == 200 else str(answer.status_code)

    hour = (clock.now() - timedelta(days=3)).replace(minute=0, second=0, microsecond=0)
    held(hour, hour + timedelta(hours=1))
    page = shown(people.luis, "?scope=team:vision")
    assert f"Most on {busy.WEEKDAYS[hour.weekday()]}s at {hour.hour}:00: 0.5" in page
    assert page.count("heat-5") == 1
    assert "None were held" in shown(people.oda)
    assert "None were held" in shown(people.luis, "?scope=team:vision&meter=cpu")
    assert "GPUs held" in shown(people.ada, "?meter=nonsense")
    assert shown(people.oda, "?scope=team:vision") == "422"
