"""Budgets for a month of teams, and in them of a person or a project: how they stand, who is told, what is held back.

Months are those of UTC. The forecast is what is spent, and for the rest of the month the mean of the last seven whole
days (of fewer, early in a month's records); its band is 1.64 standard deviations of those days times the square root
of the days that are left, which holds nine of ten months if days are independent.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from statistics import fmean, pstdev
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils.text import capfirst

from portal.accounts.access import leads_of
from portal.accounts.actions import hold_back
from portal.accounts.models import Team, User
from portal.audit.actions import record
from portal.lib import clock, words
from portal.lib.errors import Invalid
from portal.lib.money import Money
from portal.live.redis import publish
from portal.notices.actions import tell
from portal.notices.states import Kind
from portal.usage import projects, reports
from portal.usage.models import Budget
from portal.usage.reports import Scope

LEVELS = (50, 80, 100)
"""Percent of a budget at which people are told."""
EVERY = timedelta(minutes=1)
LOOK_BACK = 7
BAND = 1.64
MOST = Decimal(10) ** 9


@dataclass(frozen=True, slots=True)
class Standing:
    """Amounts are exact; `exhausted_on` is the day on which the forecast reaches the budget, in this month."""

    amount: Money
    spent: Money
    percent: int
    forecast: Money
    band: Money
    exhausted_on: date | None


def of_team(team: Team) -> Budget | None:
    """That of all of it."""
    return Budget.objects.select_related("team", "user").filter(team=team, user=None, project="").first()


def spent(budget: Budget, now: datetime) -> Decimal:
    """In this month."""
    return reports.total(reports.sums(_scope(budget), [clock.month_of(now)]).values()).cost


def _scope(budget: Budget) -> Scope:
    only = {"user": budget.user.username} if budget.user else {"project": budget.project} if budget.project else {}
    return Scope(teams=(budget.team.slug,), only=only)


def standing(budget: Budget) -> Standing:
    now = clock.now()
    _, end = clock.month_of(now)
    so_far = spent(budget, now)
    mean, deviation = _days(budget, now)
    left = max((end - now) / timedelta(days=1), 0.0)
    forecast = so_far + Decimal(str(mean * left))
    return Standing(
        amount=_money(budget.amount),
        spent=_money(so_far),
        percent=int(so_far / budget.amount * 100),
        forecast=_money(forecast),
        band=_money(Decimal(str(BAND * deviation * left**0.5))),
        exhausted_on=_exhausted(budget.amount - so_far, mean, now, end),
    )


def stand(rows: Iterable[Budget]) -> list[tuple[Budget, Standing]]:
    """Two queries for each."""
    return [(budget, standing(budget)) for budget in rows]


def _days(budget: Budget, now: datetime) -> tuple[float, float]:
    """Mean and standard deviation of what the last whole days cost."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    buckets = [(today - timedelta(days=n), today - timedelta(days=n - 1)) for n in range(LOOK_BACK, 0, -1)]
    found = reports.sums(_scope(budget), buckets)
    costs = [float(found[start, ()].cost) if (start, ()) in found else 0.0 for start, _ in buckets]
    first = next((n for n, cost in enumerate(costs) if cost), len(costs))
    known = costs[first:]  # before that they had not begun
    return (fmean(known), pstdev(known)) if known else (0.0, 0.0)


def _exhausted(left: Decimal, per_day: float, now: datetime, end: datetime) -> date | None:
    if left <= 0:
        return now.astimezone(UTC).date()
    if per_day <= 0:
        return None
    at = now + timedelta(days=min(float(left) / per_day, 10_000))
    return at.astimezone(UTC).date() if at < end else None


def _money(amount: Decimal) -> Money:
    return Money(amount, settings.CURRENCY)


@transaction.atomic
def put(team: Team, amount: Decimal, policy: str, *, user: User | None = None, project: str = "", actor: str) -> Budget:
    """For this month and those after it: of the team, or of one person or one project in it.

    Raises Invalid for `amount`, `policy`, `user` and `project`.
    """
    if not amount.is_finite() or not 0 < amount <= MOST:
        raise Invalid.field("amount", f"Use an amount above 0 and up to {MOST:,} {settings.CURRENCY}.")
    if policy not in Budget.Policy.values:
        raise Invalid.field("policy", f"Choose one of: {', '.join(Budget.Policy.values)}.")
    if user and not user.memberships.filter(team=team).exists():
        raise Invalid.field("user", f"{user.get_full_name()} is not in team {team.name}.")
    if user and project:
        raise Invalid.field("project", "A budget is one person’s or one project’s: set two for both.")
    of: dict[str, Any] = {"team": team, "user": user, "project": projects.checked(project)}
    before = Budget.objects.filter(**of).first()
    values = {"amount": amount, "policy": policy, "told_level": 0, "told_month": None}
    budget, _ = Budget.objects.update_or_create(**of, defaults=values)
    _check(budget, clock.now())
    record(actor, "budget.put", f"team-{team.pk}", before=_facts(before), after=_facts(budget))
    publish("budgets", "allocations")
    return budget


@transaction.atomic
def remove(team: Team, *, user: User | None = None, project: str = "", actor: str) -> None:
    """Nothing is held back for it any more. Removing it twice is no error."""
    before = Budget.objects.filter(team=team, user=user, project=project).first()
    if before is not None:
        before.delete()
        hold_back(team, "", user=user, project=project, actor=actor)
        record(actor, "budget.remove", f"team-{team.pk}", before=_facts(before))
        publish("budgets", "allocations")


def _facts(budget: Budget | None) -> dict[str, str]:
    if budget is None:
        return {}
    of = {"user": budget.user.username} if budget.user else {"project": budget.project} if budget.project else {}
    return of | {"amount": str(budget.amount), "policy": budget.policy}


def tick() -> None:
    """Part of every tick: each budget is looked at once a minute."""
    now = clock.now()
    due = Q(checked_at=None) | Q(checked_at__lt=now - EVERY)
    for budget in Budget.objects.filter(due).select_related("team", "user")[:50]:
        if Budget.objects.filter(due, pk=budget.pk).update(checked_at=now):
            _check(budget, now)


@transaction.atomic
def _check(budget: Budget, now: datetime) -> None:
    month = clock.month_of(now)[0].date()
    stands = standing(budget)
    reached = max((level for level in LEVELS if stands.percent >= level), default=0)
    told = budget.told_level if budget.told_month == month else 0
    changes = {"told_month": month, "told_level": max(reached, told), "checked_at": now}
    Budget.objects.filter(pk=budget.pk).update(**changes)
    used_up = reached == 100 and budget.policy == Budget.Policy.BLOCK_NEW
    why = f"The budget of {budget.whom} for {month:%B} is used up." if used_up else ""
    hold_back(budget.team, why, user=budget.user, project=budget.project, actor="budget")
    if reached > told:
        held = " Nothing new starts on it until the month is over." if used_up else ""
        of = f"the budget of {words.money(stands.amount)} for {month:%B %Y}"
        sentence = f"{capfirst(budget.whom)} has spent {reached} % of {of}.{held}"
        _tell(budget, month, str(reached), sentence)
    elif reached < 100 and stands.forecast.amount >= budget.amount:
        _tell(budget, month, "forecast", _foreseen(budget, stands, month))


def _foreseen(budget: Budget, stands: Standing, month: date) -> str:
    end = stands.exhausted_on
    until = f", and has used it up on {end.day} {end:%B}" if end else ""
    return (
        f"At the rate of the last days, {budget.whom} spends {words.money(stands.forecast)} of the budget of "
        f"{words.money(stands.amount)} for {month:%B %Y}{until}."
    )


def _tell(budget: Budget, month: date, what: str, sentence: str) -> None:
    """Leads, and whose it is: administrators for a team, or the person; each once for each month and `what`."""
    subject = f"budget-{budget.pk}-{month:%Y-%m}-{what}"
    leading = set(leads_of(budget.team))
    if budget.whole:
        leading |= set(User.objects.filter(is_staff=True, is_active=True))
    for user in leading:
        tell(user, Kind.BUDGET_REACHED, subject, sentence, page(budget))
    if budget.user and budget.user not in leading:
        tell(budget.user, Kind.BUDGET_REACHED, subject, sentence, "/usage/?scope=me")


def page(budget: Budget) -> str:
    """Of what was spent of it, for who looks after its team."""
    narrowed = [(name, value) for name, value in _scope(budget).only.items()]
    return f"/usage/?{urlencode([('scope', f'team:{budget.team.slug}'), *narrowed])}"
