"""What a person and a team may hold at once, and what they hold.

Of each resource there may be a limit for every person and one for every team; both must leave room. Limits of the
catalog hold for everybody unasked. For GPUs the grants that are active now come on top, to the person or to the team: a
lead who grants a member more divides the team's share, and does not enlarge it. GPU hours are those of the calendar
month in UTC: once they are used up, nothing new with a GPU starts.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal

from django.db.models import CharField, Count, Sum, Value
from django.db.models.functions import Concat

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
    """`limit` is None where there is none."""

    scope: Scope
    resource: str
    used: Decimal
    limit: Decimal | None

    def allows(self, amount: Decimal) -> bool:
        return self.limit is None or self.used + amount <= self.limit

    def sentence(self, person: str, team: str) -> str:
        """`You use 1 of 1 × A100; more can be asked for.` `Its team uses 8 of 8 cores.`"""
        whose = person if self.scope == "user" else team
        uses = f"{whose} {'use' if whose == 'You' else 'uses'} {plain(self.used)} of {plain(self.limit or Decimal())}"
        if self.resource.startswith(GPU):
            return f"{uses} × {gpu_words(self.resource.removeprefix(GPU))}; more can be asked for."
        return f"{uses} {NOUNS[Resource(self.resource)]}."

    def most(self, person: str, team: str) -> str:
        """`one person may hold 2 cores at most`"""
        whose, noun = person if self.scope == "user" else team, NOUNS[Resource(self.resource)]
        return f"{whose} may hold {plain(self.limit or Decimal())} {noun} at most"

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


class Limits:
    """As they are when they are first looked at: a query for all limits, one for what is held where one matters, and
    one each for grants of GPUs and for GPU hours where these do. What is taken counts as used.
    """

    @cached_property
    def _base(self) -> dict[tuple[Scope, str], Decimal | None]:
        classes = GpuClass.objects.annotate(resource=Concat(Value(GPU), "slug", output_field=CharField())).order_by()
        columns = ("resource", "each_person", "each_team")
        others = ResourceLimit.objects.order_by().values_list(*columns)
        found: dict[tuple[Scope, str], Decimal | None] = {}
        for resource, each_person, each_team in classes.values_list(*columns).union(others, all=True):
            found["user", resource], found["team", resource] = each_person, each_team
        return found

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

    @cached_property
    def _gpu_hours(self) -> Used:
        hours: Used = Counter()
        now = clock.now()
        for held in held_between(clock.month_of(now)[0], now):
            time = Decimal(str(held.time.total_seconds())) / 3600
            add(hours, held.user, held.team, {Resource.GPU_HOURS: time})
        return hours

    def of(self, scope: Scope, who: str, resource: str) -> Limit:
        base, key = self._base.get((scope, resource)), (scope, who, resource)
        used = self._gpu_hours if resource == Resource.GPU_HOURS else self._used
        if base is not None and resource.startswith(GPU):
            base += self._granted[key]
        return Limit(scope, resource, Decimal(used[key]), base)

    def reached(self, user: str, team: str, wanted: Amounts) -> Limit | None:
        """The first that so much more would exceed, the person's before the team's."""
        limits = ((self.of(scope, who, name), amount) for name, amount, scope, who in self._limited(user, team, wanted))
        return next((limit for limit, amount in limits if not limit.allows(amount)), None)

    def too_small(self, user: str, team: str, wanted: Amounts) -> Limit | None:
        """The first that would not be enough if nothing were held; GPUs left out, since more are granted."""
        for name, amount, scope, who in self._limited(user, team, wanted):
            base = self._base[scope, name]
            if base is not None and amount > base and not name.startswith(GPU):
                return self.of(scope, who, name)
        return None

    def _limited(self, user: str, team: str, wanted: Amounts) -> Iterator[tuple[str, Decimal, Scope, str]]:
        for name, amount in wanted.items():
            both: tuple[tuple[Scope, str], ...] = (("user", user), ("team", team))
            yield from ((name, amount, scope, who) for scope, who in both if self._base.get((scope, name)) is not None)

    def take(self, allocation: Allocation) -> None:
        add(self._used, *whose(allocation))


def add(used: Used, user: str, team: str, held: Amounts) -> None:
    """To what a person and a team have."""
    for resource, amount in held.items():
        used["user", user, resource] += amount  # type: ignore[assignment]  # a Counter of decimals
        used["team", team, resource] += amount  # type: ignore[assignment]
