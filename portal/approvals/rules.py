"""What the catalog's rules say of a request, with the numbers they see, and how often people agreed with them."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce

from portal.accounts.models import User
from portal.approvals import facts
from portal.lib import clock, words
from portal.lib.money import Money
from portal.quotas import access
from portal.quotas.actions import Wish, drafted
from portal.quotas.models import ApprovalRule, Grant, QuotaRequest
from portal.quotas.states import R, RuleMode
from portal.quotas.verdicts import Condition, Verdict
from portal.usage import budgets

NO_RULE = "No rule approves this class by itself: a person decides."
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Seen:
    """What rules look at. Amounts of money in words; `left` is of the team's budget of the month, None without one."""

    personal: bool
    count: int
    hours: float
    needs_second: bool
    other_grants: int
    revoked: int
    cost: str
    left: str | None
    affordable: bool


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of so many requests that a rule in shadow mode would have approved, people approved so many whole."""

    rule: ApprovalRule
    approved: int
    decided: int


def judge(request: QuotaRequest) -> list[Verdict]:
    """Every rule for its class that is not off, in their order. The request need not be saved."""
    rules = list(ApprovalRule.objects.filter(gpu_class=request.gpu_class).exclude(mode=RuleMode.OFF))
    if not rules:
        return []
    seen = _seen(request)
    return [
        Verdict(rule.name, RuleMode(rule.mode), str(rule), list(_conditions(rule, seen)), asdict(seen))
        for rule in rules
    ]


def _conditions(rule: ApprovalRule, seen: Seen) -> Iterator[Condition]:
    yield Condition("for one person" if seen.personal else "for a whole team, not one person", seen.personal)
    yield Condition(f"{seen.count} of at most {rule.most_count} devices", seen.count <= rule.most_count)
    yield Condition(f"{seen.hours:g} of at most {rule.longest_hours} hours", seen.hours <= rule.longest_hours)
    second = "so many need two approvers" if seen.needs_second else "one approver is enough"
    yield Condition(second, not seen.needs_second)
    if rule.budget_left:
        left = "the team has no budget" if seen.left is None else f"{seen.left} left of the team's budget"
        yield Condition(f"costs up to {seen.cost}, {left}", seen.affordable)
    if rule.most_active_grants is not None:
        others = f"{seen.other_grants} of at most {rule.most_active_grants} other grants"
        yield Condition(others, seen.other_grants <= rule.most_active_grants)
    if rule.no_revocations:
        yield Condition(f"{seen.revoked} grants revoked before", seen.revoked == 0)


def _seen(request: QuotaRequest) -> Seen:
    span = request.ends_at - request.starts_at
    cost, left = facts.cost(request.gpu_class_id, request.count, span), _left(request)
    theirs = Grant.objects.filter(request__requester=request.requester)
    return Seen(
        personal=request.personal,
        count=request.count,
        hours=round(span / HOUR, 1),
        needs_second=access.needs_second(request, request.count),
        other_grants=theirs.filter(revoked_at=None, ends_at__gt=clock.now()).count(),
        revoked=theirs.filter(revoked_at__isnull=False).count(),
        cost=words.money(cost),
        left=None if left is None else words.money(left),
        affordable=left is None or cost.amount <= left.amount,
    )


def _left(request: QuotaRequest) -> Money | None:
    budget = budgets.of_team(request.team)
    return Money(budget.amount - budgets.spent(budget, clock.now()), settings.CURRENCY) if budget else None


def said(verdicts: list[dict[str, Any]], mode: RuleMode) -> list[str]:
    """One sentence for each rule of this mode, out of what is kept: whether it would approve, else why not."""
    return [_said(one) for one in verdicts if one["mode"] == mode]


def _said(verdict: dict[str, Any]) -> str:
    name = f"“{verdict['rule']}”"
    if verdict["passes"]:
        return f"Would be approved at once by rule {name}: {_words(verdict, True)}."
    return f"Not approved by rule {name}: {_words(verdict, False)}."


def _words(verdict: dict[str, Any], holds: bool) -> str:
    return ", ".join(one["words"] for one in verdict["conditions"] if one["holds"] is holds)


def agreements(user: User) -> list[Agreement]:
    """Of what this person may decide about, for each rule in shadow mode. One query."""
    decided = access.decidable_by(user).filter(shadow_rule=OuterRef("name"), decided_by__isnull=False).order_by()
    whole = decided.values("shadow_rule").annotate(n=Count("pk", filter=Q(state=R.APPROVED)), m=Count("pk"))
    numbers = {name: Coalesce(Subquery(whole.values(name)), 0) for name in ("n", "m")}
    shadows = ApprovalRule.objects.filter(mode=RuleMode.SHADOW).annotate(**numbers)
    return [Agreement(rule, rule.n, rule.m) for rule in shadows]  # type: ignore[attr-defined]


def dry_run(user: User, wish: Wish) -> list[str]:
    """What the active rules would say of it now. Raises Invalid naming the field of `wish`."""
    verdicts = [one.as_data() for one in judge(drafted(user, wish))]
    return said(verdicts, RuleMode.ACTIVE) or [NO_RULE]
