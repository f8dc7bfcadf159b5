"""What each team spent in the week that is over, told once to its leads. Weeks are those of UTC, from Monday."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import transaction

from portal.accounts.access import leads_of
from portal.accounts.models import Team, User
from portal.lib import clock, words
from portal.lib.money import Money
from portal.notices.actions import tell
from portal.notices.states import Kind
from portal.usage import reports
from portal.usage.models import WeekTold
from portal.usage.reports import Scope

DAY, WEEK = timedelta(days=1), timedelta(weeks=1)
FROM = timedelta(hours=6)
"""So long after the week is over people are told: late ends are known by then."""
BATCH = 20
NAMED, BARS = 3, 10


def tick() -> None:
    """Part of every tick: teams whose leads were not told of the last week."""
    now = clock.now().astimezone(UTC)
    monday = (now - timedelta(days=now.weekday())).replace(hour=0, minute=0, second=0, microsecond=0)
    if now < monday + FROM:
        return
    for team in Team.objects.exclude(weeks_told__until=monday.date()).order_by("pk")[:BATCH]:
        with transaction.atomic():
            if WeekTold.objects.get_or_create(team=team, until=monday.date())[1]:
                _tell(team, monday)


def _tell(team: Team, until: datetime) -> None:
    """Nothing where nothing was spent."""
    days_of_week = [(until - WEEK + n * DAY, until - WEEK + (n + 1) * DAY) for n in range(7)]
    buckets = [(until - 2 * WEEK, until - WEEK), *days_of_week]
    found = reports.sums(Scope(teams=(team.slug,)), buckets, ["user"])
    last = {key: one for key, one in found.items() if key[0] >= until - WEEK}
    before = reports.total(one for key, one in found.items() if key not in last)
    whole = reports.total(last.values())
    if not whole.cost:
        return
    days = f"{words.day(until - WEEK)} to {words.day(until - timedelta(days=1))}"
    change = _change(whole.cost, before.cost)
    most = _named([(user, one.cost) for (user,), one in reports.by_group(last).items()])
    hours = f" GPUs were held for {hours:.1f} h." if (hours := whole.hours.get("gpu")) else ""
    named = ", ".join(f"{name} {_words(cost)}" for name, cost in most[:NAMED])
    text = f"Team {team.name} spent {_words(whole.cost)} from {days}{change}. Most: {named}.{hours}"
    each_day = [(f"{day:%a} {day.day} {day:%b}", _spent_in(last, day)) for day, _ in days_of_week]
    charts = [_chart("Spent each day", each_day), _chart("By person", most[:BARS])]
    facts = {"team": team.slug, "until": until.date().isoformat(), "spent": str(whole.cost)}
    for lead in leads_of(team):
        subject = f"week-{team.pk}-{until:%Y-%m-%d}"
        tell(lead, Kind.WEEK_OVER, subject, text, _page(team), {"week": facts, "charts": charts})


def _spent_in(found: dict[reports.Key, reports.Sum], day: datetime) -> Decimal:
    return reports.total(one for (start, _), one in found.items() if start == day).cost


def _chart(title: str, bars: list[tuple[str, Decimal]]) -> dict[str, Any]:
    """As mails draw it: each bar with its name, its amount in words and its share of the longest, in percent."""
    longest = max(cost for _, cost in bars) or Decimal(1)
    return {"title": title, "bars": [[name, _words(cost), round(cost / longest * 100)] for name, cost in bars]}


def _page(team: Team) -> str:
    return f"/usage/?scope=team:{team.slug}&period=7"


def _words(amount: Decimal) -> str:
    return words.money(Money(amount, settings.CURRENCY))


def _change(now: Decimal, before: Decimal) -> str:
    if not before:
        return ""
    share = abs(now - before) / before
    return f", {words.percent(share)} {'more' if now >= before else 'less'} than the week before"


def _named(most: list[tuple[str, Decimal]]) -> list[tuple[str, Decimal]]:
    names = dict(User.objects.filter(username__in=[user for user, _ in most]).values_list("username", "name"))
    return [(names.get(user) or user or reports.NONE["user"], cost) for user, cost in most]
