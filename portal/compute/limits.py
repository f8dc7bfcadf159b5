"""What a person and a team may hold at once, and what they hold.

Of each resource there may be a limit for every person and one for every team; both must leave room. Limits of the
catalog hold for everybody unasked. For GPUs the grants that are active now come on top, to the person or to the team: a
lead who grants a member more divides the team's share, and does not enlarge it. GPU hours are those of the calendar
month in UTC: once they are used up, nothing new with a GPU starts. A limit on storage keeps nothing from starting.

Where the catalog says so, teams lend each other what they do not use. The arithmetic is that of Kueue's cohorts: of its
limit a team keeps `max(0, limit - lends)` for itself; the rest is in a pool that all draw on, each up to `borrows`
beyond its limit. What is lent comes back when it ends.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal

from django.db.models import CharField, Count, Sum, Value
from django.db.models.functions import Concat

from portal.accounts.models import Team
from portal.compute.holds import held_between
from portal.compute.models import GIB, Allocation
from portal.compute.placement import Need
from portal.compute.states import PLACED
from portal.lib import clock
from portal.lib.words import plain
from portal.quotas.models import GpuClass, Grant, ResourceLimit, gpu_words
from portal.quotas.states import GPU, NOUNS, Resource

Scope = Literal["user", "team"]
Amounts = dict[str, Decimal]
"""By resource: a name of Resource, or GPU and a class."""
Used = Counter[tuple[Scope, str, str]]
"""By the id of a person or a team, and resource."""
_COLUMNS = {
    Resource.CPU: ("cpu",),
    Resource.MEMORY: ("memory",),
    Resource.WORKSPACES: ("owner_kind",),
    Resource.JOBS: ("owner_kind",),
}
"""Of an Allocation: what those that take alike of a resource have in common; of GPUs the class and the number."""


@dataclass(frozen=True, slots=True)
class Limit:
    """`limit` is None where there is none. Beyond it `shift` can be borrowed now; below zero, so much of it is lent."""

    scope: Scope
    resource: str
    used: Decimal
    limit: Decimal | None
    shift: Decimal = Decimal()

    @property
    def reach(self) -> Decimal | None:
        """What can be held now."""
        return None if self.limit is None else self.limit + self.shift

    @property
    def borrowed(self) -> Decimal:
        """Of what is used."""
        return max(Decimal(), min(self.used - (self.limit or 0), self.shift))

    @property
    def lent(self) -> Decimal:
        """Of the limit."""
        return max(Decimal(), -self.shift)

    def allows(self, amount: Decimal) -> bool:
        return self.reach is None or self.used + amount <= self.reach

    def needs_borrowing(self, amount: Decimal) -> bool:
        return self.limit is not None and self.used + amount > self.limit

    def owes(self, amount: Decimal) -> bool:
        """There would be room for it if nothing were lent."""
        return self.limit is not None and not self.allows(amount) and not self.needs_borrowing(amount)

    def shared(self) -> str:
        """`2 borrowed` or `1 lent`; nothing otherwise."""
        told = ((self.borrowed, "borrowed"), (self.lent, "lent"))
        return ", ".join(f"{plain(amount)} {what}" for amount, what in told if amount)

    def sentence(self, person: str, team: str) -> str:
        """`You use 1 of 1 × A100; more can be asked for.` `Its team uses 6 of 8 cores (2 lent).`"""
        whose = person if self.scope == "user" else team
        uses = f"{whose} {'use' if whose == 'You' else 'uses'} {plain(self.used)} of {plain(self.limit or Decimal())}"
        shared = f" ({told})" if (told := self.shared()) else ""
        if self.resource.startswith(GPU):
            return f"{uses} × {gpu_words(self.resource.removeprefix(GPU))}{shared}; more can be asked for."
        return f"{uses} {NOUNS[Resource(self.resource)]}{shared}."

    def alike(self, waiting: Allocation) -> dict[str, Any]:
        """Columns and values of all for which there is no room either while there is none for this one."""
        names = _COLUMNS.get(self.resource, ("gpu_class_id", "gpu_count"))  # type: ignore[call-overload]
        return {name: getattr(waiting, name) for name in (*names, f"{self.scope}_id")}


def amounts(kind: str, need: Need) -> Amounts:
    """What something takes; `kind` is what owns it: workspace or job."""
    found = {Resource.CPU: need.cpu, Resource.MEMORY: Decimal(need.memory) / GIB, f"{kind}s": Decimal(1)}
    if need.gpu_class:
        found |= {GPU + need.gpu_class: Decimal(need.gpu_count), Resource.GPU_HOURS: Decimal()}
    return dict(found)


def whose(waiting: Allocation) -> tuple[str, str, Amounts]:
    """Person, team and what it takes."""
    return waiting.user_id, waiting.team_id, amounts(waiting.owner_kind, Need.of(waiting))


def gpu_hours() -> Used:
    """Of this month."""
    hours: Used = Counter()
    now = clock.now()
    for held in held_between(clock.month_of(now)[0], now):
        time = Decimal(str(held.time.total_seconds())) / 3600
        add(hours, held.user, held.team, {Resource.GPU_HOURS: time})
    return hours


_counted: dict[str, Callable[[], Used]] = {Resource.GPU_HOURS: gpu_hours}


def count(resource: Resource, by: Callable[[], Used]) -> None:
    """Let another app say what is held of what allocations do not tell."""
    _counted[resource] = by


@dataclass(frozen=True, slots=True)
class Rule:
    """What the catalog says of one resource; None is no limit."""

    each_person: Decimal | None
    each_team: Decimal | None
    team_lends: Decimal = Decimal()
    team_borrows: Decimal = Decimal()
    reclaim_after_minutes: int | None = None

    def base(self, scope: Scope) -> Decimal | None:
        return self.each_person if scope == "user" else self.each_team

    def most(self, scope: Scope) -> Decimal | None:
        """With what may be borrowed, if all others lend."""
        base = self.base(scope)
        return base if base is None or scope == "user" else base + self.team_borrows

    def kept(self, limit: Decimal) -> Decimal:
        """Of its limit, what a team never lends."""
        return max(Decimal(), limit - self.team_lends)


NO_RULE = Rule(None, None)


class Limits:
    """As they are when they are first looked at: a query for all limits, one for what is held where one matters, and
    one each for grants of GPUs, GPU hours, files and the teams there are where these do. What is taken counts as used.
    """

    def __init__(self) -> None:
        self._pools: dict[str, Decimal] = {}
        self._sums: dict[str, Used] = {}

    @cached_property
    def _rules(self) -> dict[str, Rule]:
        classes = GpuClass.objects.annotate(resource=Concat(Value(GPU), "slug", output_field=CharField())).order_by()
        columns = ("resource", *(column.name for column in fields(Rule)))
        others = ResourceLimit.objects.order_by().values_list(*columns)
        rows = classes.values_list(*columns).union(others, all=True)
        return {resource: Rule(*amounts) for resource, *amounts in rows}

    @cached_property
    def _used(self) -> Used:
        used: Used = Counter()
        kinds = ("user", "team", "owner_kind", "gpu_class")
        sums = {"cores": Sum("cpu"), "bytes": Sum("memory"), "gpus": Sum("gpu_count"), "number": Count("pk")}
        rows = Allocation.objects.filter(phase__in=PLACED).order_by().values_list(*kinds).annotate(**sums)
        for user, team, kind, gpu_class, cpu, memory, gpus, number in rows:
            held = amounts(kind, Need(cpu, memory, gpu_class, gpus)) | {f"{kind}s": Decimal(number)}
            add(used, user, team, held)
        return used

    @cached_property
    def _granted(self) -> Used:
        """Of GPUs only."""
        granted: Used = Counter()
        rows = Grant.active(clock.now()).order_by().values_list("user", "team", "gpu_class")
        for user, team, gpu_class, number in rows.annotate(number=Sum("count")):
            granted["team" if user is None else "user", user or team, GPU + gpu_class] += number
        return granted

    @property
    def reclaimed(self) -> dict[str, timedelta]:
        """What is taken back from jobs that have run so long."""
        rules = {name: rule.reclaim_after_minutes for name, rule in self._rules.items()}
        return {name: timedelta(minutes=after) for name, after in rules.items() if after is not None}

    @cached_property
    def _teams(self) -> list[str]:
        return list(Team.objects.values_list("pk", flat=True))

    def of(self, scope: Scope, who: str, resource: str) -> Limit:
        used, limit = self._held(scope, who, resource), self._nominal(scope, who, resource)
        if limit is None or scope == "user" or not (rule := self._rules[resource]).team_lends:
            return Limit(scope, resource, used, limit)
        kept = rule.kept(limit)
        reach = max(kept, min(max(used, kept) + self._pool(resource), limit + rule.team_borrows))
        return Limit(scope, resource, used, limit, reach - limit)

    def _held(self, scope: Scope, who: str, resource: str) -> Decimal:
        if resource in _counted and resource not in self._sums:
            self._sums[resource] = _counted[resource]()
        return Decimal(self._sums.get(resource, self._used)[scope, who, resource])

    def _nominal(self, scope: Scope, who: str, resource: str) -> Decimal | None:
        base = self._rules.get(resource, NO_RULE).base(scope)
        return base if base is None or not resource.startswith(GPU) else base + self._granted[scope, who, resource]

    def _pool(self, resource: str) -> Decimal:
        """What all teams lend together and none has taken; below zero after a limit was lowered."""
        if resource not in self._pools:
            self._pools[resource] = sum((self._in_pool(team, resource) for team in self._teams), Decimal())
        return self._pools[resource]

    def _in_pool(self, team: str, resource: str) -> Decimal:
        """What a team lends less what it draws on the pool itself."""
        limit, used = self._nominal("team", team, resource) or Decimal(), self._held("team", team, resource)
        kept = self._rules[resource].kept(limit)
        return limit - kept - max(Decimal(), used - kept)

    def reached(self, user: str, team: str, wanted: Amounts) -> Limit | None:
        """The first that so much more would exceed, the person's before the team's."""
        limits = self._each(user, team, wanted)
        return next((limit for limit, amount in limits if not limit.allows(amount)), None)

    def borrowed_of(self, user: str, team: str, wanted: Amounts) -> Limit | None:
        """The first beyond which something would have to be borrowed."""
        limits = self._each(user, team, wanted)
        return next((limit for limit, amount in limits if limit.needs_borrowing(amount)), None)

    def _each(self, user: str, team: str, wanted: Amounts) -> Iterator[tuple[Limit, Decimal]]:
        for name, amount, scope, who in self._limited(user, team, wanted):
            yield self.of(scope, who, name), amount

    def owed(self, user: str, team: str, wanted: Amounts) -> Limit | None:
        """The limit that stands against it only because others have borrowed of it."""
        limit = self.reached(user, team, wanted)
        return limit if limit and limit.owes(wanted[limit.resource]) else None

    def refused(self, user: str, team: Team, wanted: Amounts) -> str:
        """Which of them would be exceeded though nothing else were held, in words; empty where none would be.

        Those on GPUs are left out, since more are granted.
        """
        for name, amount, scope, _ in self._limited(user, team.pk, wanted):
            most = self._rules[name].most(scope)
            if most is not None and amount > most and not name.startswith(GPU):
                whose = "one person" if scope == "user" else f"team {team.name}"
                return f"{whose} may hold {plain(most)} {NOUNS[Resource(name)]} at most"
        return ""

    def _limited(self, user: str, team: str, wanted: Amounts) -> Iterator[tuple[str, Decimal, Scope, str]]:
        for name, amount in wanted.items():
            rule = self._rules.get(name, NO_RULE)
            both: tuple[tuple[Scope, str], ...] = (("user", user), ("team", team))
            yield from ((name, amount, scope, who) for scope, who in both if rule.base(scope) is not None)

    def take(self, allocation: Allocation) -> None:
        self._add(*whose(allocation))

    def give(self, allocation: Allocation) -> None:
        """Back what it took."""
        user, team, held = whose(allocation)
        self._add(user, team, {resource: -amount for resource, amount in held.items()})

    def _add(self, user: str, team: str, held: Amounts) -> None:
        add(self._used, user, team, held)
        for resource in held:
            self._pools.pop(resource, None)


def add(used: Used, user: str, team: str, held: Amounts) -> None:
    """To what a person and a team have."""
    for resource, amount in held.items():
        used["user", user, resource] += amount  # type: ignore[assignment]  # a Counter of decimals
        used["team", team, resource] += amount  # type: ignore[assignment]
