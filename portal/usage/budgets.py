"""Budgets of teams for a month: what is spent of them, what the month will cost, who is told, what is held back.

Months are those of UTC. The forecast is what is spent, and for the rest of the month the mean of the last seven whole
days (of fewer, early in a month's records); its band is 1.64 standard deviations of those days times the square root
of the days that are left, which holds nine of ten months if days are independent.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from statistics import fmean, pstdev

from django.conf import settings
from django.db import transaction
from django.db.models import Q

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
from portal.usage import reports
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


def spent(team: str, now: datetime) -> Decimal:
    return reports.total(reports.sums(Scope(teams=(team,)), [clock.month_of(now)]).values()).cost


def standing(budget: Budget) -> Standing:
    now = clock.now()
    _, end = clock.month_of(now)
    so_far = spent(budget.team.slug, now)
    mean, deviation = _days(budget.team.slug, now)
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


def _days(team: str, now: datetime) -> tuple[float, float]:
    """Mean and standard deviation of what the last whole days cost."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    buckets = [(today - timedelta(days=n), today - timedelta(days=n - 1)) for n in range(LOOK_BACK, 0, -1)]
    found = reports.sums(Scope(teams=(team,)), buckets)
    costs = [float(found[start, ()].cost) if (start, ()) in found else 0.0 for start, _ in buckets]
    first = next((n for n, cost in enumerate(costs) if cost), len(costs))
    known = costs[first:]  # before that the team had not begun
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
def put(team: Team, amount: Decimal, policy: str, *, actor: str) -> Budget:
    """For this month and those after it. Raises Invalid for `amount` and `policy`."""
    if not amount.is_finite() or not 0 < amount <= MOST:
        raise Invalid.field("amount", f"Use an amount above 0 and up to {MOST:,} {settings.CURRENCY}.")
    if policy not in Budget.Policy.values:
        raise Invalid.field("policy", f"Choose one of: {', '.join(Budget.Policy.values)}.")
    before = Budget.objects.filter(team=team).first()
    values = {"amount": amount, "policy": policy, "told_level": 0, "told_month": None}
    budget, _ = Budget.objects.update_or_create(team=team, defaults=values)
    _check(budget, clock.now())
    record(actor, "budget.put", f"team-{team.pk}", before=_facts(before), after=_facts(budget))
    publish("budgets", "allocations")
    return budget


@transaction.atomic
def remove(team: Team, *, actor: str) -> None:
    """Nothing is held back any more. Removing it twice is no error."""
    before = Budget.objects.filter(team=team).first()
    if before is not None:
        before.delete()
        hold_back(team, "", actor=actor)
        record(actor, "budget.remove", f"team-{team.pk}", before=_facts(before))
        publish("budgets", "allocations")


def _facts(budget: Budget | None) -> dict[str, str]:
    return {"amount": str(budget.amount), "policy": budget.policy} if budget else {}


def tick() -> None:
    """Part of every tick: each budget is looked at once a minute."""
    now = clock.now()
    due = Q(checked_at=None) | Q(checked_at__lt=now - EVERY)
    for budget in Budget.objects.filter(due).select_related("team")[:50]:
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
    why = f"The budget of {budget.team.name} for {month:%B} is used up." if used_up else ""
    hold_back(budget.team, why, actor="budget")
    if reached > told:
        held = " Nothing new starts for it this month." if used_up else ""
        amount = words.money(stands.amount)
        sentence = f"Team {budget.team.name} has spent {reached} % of its {amount} for {month:%B %Y}.{held}"
        _tell(budget, month, str(reached), sentence)
    elif reached < 100 and stands.forecast.amount >= budget.amount:
        _tell(budget, month, "forecast", _foreseen(budget, stands, month))


def _foreseen(budget: Budget, stands: Standing, month: date) -> str:
    end = stands.exhausted_on
    until = f", and has used it up on {end.day} {end:%B}" if end else ""
    return (
        f"If team {budget.team.name} goes on as in the last days, it spends {words.money(stands.forecast)} of its "
        f"{words.money(stands.amount)} for {month:%B %Y}{until}."
    )


def _tell(budget: Budget, month: date, what: str, sentence: str) -> None:
    """Its leads and administrators, each once for each month and `what`."""
    subject = f"budget-{budget.team_id}-{month:%Y-%m}-{what}"
    staff = User.objects.filter(is_staff=True, is_active=True)
    for user in leads_of(budget.team).union(staff):
        tell(user, Kind.BUDGET_REACHED, subject, sentence, f"/usage/?scope=team:{budget.team.slug}")
