"""What people want to know of limits and requests: what is used, what is free, what it will cost, what is promised."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import product

from django.db.models import Q, Sum
from django.utils.timezone import localtime

from portal.accounts.access import teams_of
from portal.accounts.models import Team, User
from portal.compute import line
from portal.compute.limits import Limit, Limits, Scope, Used, add, whose
from portal.compute.models import GpuDevice, GpuHold
from portal.lib import clock, words
from portal.lib.money import Money
from portal.lib.words import plain
from portal.quotas.models import GpuClass, Grant, QuotaRequest, ResourceLimit
from portal.quotas.states import DECIDED, GPU, NOUNS, Resource
from portal.usage import costs
from portal.usage.metering import prices
from portal.usage.meters import gpu_sku
from portal.usage.models import UsageInterval

DAYS_SHOWN = 14


@dataclass(frozen=True, slots=True)
class Share:
    """What one person or team holds of a class, and may hold."""

    whose: str
    text: str
    used: Decimal
    limit: Decimal | None


@dataclass(frozen=True, slots=True)
class ClassCard:
    slug: str
    name: str
    free: int
    number: int
    per_hour: Money
    shares: list[Share]


def classes_for(user: User, limits: Limits) -> list[ClassCard]:
    """Each class on offer with what there is, and what the person and their teams hold and may hold."""
    valid, (devices, held) = prices(clock.now()), _numbers()
    teams = list(teams_of(user))
    return [
        ClassCard(
            slug=one.slug,
            name=str(one),
            free=devices.get(one.slug, 0) - held.get(one.slug, 0),
            number=devices.get(one.slug, 0),
            per_hour=Money(*valid[gpu_sku(one.slug)]),
            shares=_shares(user, teams, limits, GPU + one.slug),
        )
        for one in GpuClass.objects.filter(retired=False)
    ]


def _shares(user: User, teams: Sequence[Team], limits: Limits, resource: str) -> list[Share]:
    mine = _share("You", limits.of("user", user.pk, resource))
    return [mine, *(_share(f"Team {team.name}", limits.of("team", team.pk, resource)) for team in teams)]


def _share(whose: str, limit: Limit) -> Share:
    used = plain(limit.used)
    text = f"{used} of {plain(limit.limit)}" if limit.limit is not None else f"{used}, no limit"
    if shared := limit.shared():
        text += f" ({shared})"
    return Share(whose, text, limit.used, limit.limit)


@dataclass(frozen=True, slots=True)
class ResourceCard:
    """`name` with its unit."""

    name: str
    shares: list[Share]


def resources_for(user: User, limits: Limits) -> list[ResourceCard]:
    """What is limited besides GPUs, with what the person and their teams hold and may hold."""
    teams = list(teams_of(user))
    return [
        ResourceCard(f"{one} ({NOUNS[Resource(one.resource)]})", _shares(user, teams, limits, one.resource))
        for one in ResourceLimit.objects.all()
    ]


@dataclass(frozen=True, slots=True)
class Quota:
    """What one person or team holds of a resource and may hold; `queued` is what they have in line besides.

    `borrowed` is of what is used, `lent` of the limit.
    """

    scope: str
    resource: str
    limit: Decimal | None
    used: Decimal
    borrowed: Decimal
    lent: Decimal
    queued: Decimal
    until: datetime | None


def quotas(user: User, names: Sequence[str]) -> list[Quota]:
    """Of the person and each of their teams; a fixed number of queries."""
    limits, queued, until = Limits(), _queued(user), _ends()
    whole: list[tuple[str, Scope, str]] = [("me", "user", user.pk)]
    whole += [(f"team:{team.slug}", "team", team.pk) for team in teams_of(user)]
    found = []
    for name, (told, scope, pk) in product(names, whole):
        limit, waits = limits.of(scope, pk, name), Decimal(queued[scope, pk, name])
        held = (limit.limit, limit.used, limit.borrowed, limit.lent)
        found.append(Quota(told, name, *held, waits, until.get((pk, name))))
    return found


def _queued(user: User) -> Used:
    found: Used = Counter()
    theirs = line.waiting().filter(Q(user=user) | Q(team__in=teams_of(user)))
    for row in theirs.only("user", "team", "owner_kind", "cpu", "memory", "gpu_class", "gpu_count"):
        add(found, *whose(row))
    return found


def _ends() -> dict[tuple[str, str], datetime]:
    """When the next grant ends, by person or team and class."""
    active = Grant.active(clock.now()).order_by("-ends_at").values_list("user", "team", "gpu_class", "ends_at")
    return {(user or team, GPU + slug): ends_at for user, team, slug, ends_at in active}


def _numbers() -> tuple[dict[str, int], dict[str, int]]:
    """Devices on offer by class, and how many of them are held."""
    classes = list(GpuDevice.offered().values_list("pk", "gpu_class"))
    held = set(GpuHold.objects.filter(until=None).values_list("device", flat=True))
    devices: dict[str, int] = {}
    taken: dict[str, int] = {}
    for pk, slug in classes:
        assert slug is not None
        devices[slug] = devices.get(slug, 0) + 1
        taken[slug] = taken.get(slug, 0) + (pk in held)
    return devices, taken


@dataclass(frozen=True, slots=True)
class Day:
    """`granted` devices by other grants that day, `asked` what the request would add."""

    label: str
    granted: int
    asked: int


@dataclass(frozen=True, slots=True)
class Facts:
    """Beside a request, for who decides. `most` is what it costs if the devices are held all the time."""

    most: Money
    free: int
    number: int
    person: Share
    team: Share
    earlier: list[str]
    days: list[Day]


def of(request: QuotaRequest) -> Facts:
    limits = Limits()
    devices, held = _numbers()
    slug = request.gpu_class_id
    return Facts(
        most=cost(slug, request.count, request.ends_at - request.starts_at),
        free=devices.get(slug, 0) - held.get(slug, 0),
        number=devices.get(slug, 0),
        person=_share(request.requester.get_full_name(), limits.of("user", request.requester_id, GPU + slug)),
        team=_share(f"Team {request.team.name}", limits.of("team", request.team_id, GPU + slug)),
        earlier=_earlier(request),
        days=_days(request),
    )


def cost(gpu_class: str, count: int, span: timedelta) -> Money:
    """count × hours × price per hour, at today's price."""
    per_hour, currency = prices(clock.now())[gpu_sku(gpu_class)]
    return Money(costs.amount(Decimal(count), int(span.total_seconds()), per_hour), currency)


def _earlier(request: QuotaRequest) -> list[str]:
    """The last decisions about what the same person asked for, and how much of each grant was used."""
    rows = QuotaRequest.objects.filter(requester=request.requester_id, state__in=DECIDED).exclude(pk=request.pk)
    return [_told(row) for row in rows.select_related("grant", "requester")[:5]]


def _told(row: QuotaRequest) -> str:
    grant: Grant | None = getattr(row, "grant", None)
    if grant is None:
        return f"{row}: denied"
    return f"{grant} until {words.day(localtime(grant.ends_at))}: {used_text(grant)}"


def used_text(grant: Grant) -> str:
    """`used 81 %`: device-seconds that its holder had of the class while it was active, of what it gave."""
    used = used_share(grant)
    return "not begun" if used is None else f"used {used:.0%}".replace("%", " %")


def used_share(grant: Grant) -> float | None:
    """From 0 to 1; None before it has begun. What the same people held beyond the grant counts as well."""
    end = min(grant.ends_at, grant.revoked_at or grant.ends_at, clock.now())
    seconds = (end - grant.starts_at).total_seconds()
    if seconds <= 0:
        return None
    whose = {"user": grant.user.username} if grant.user else {"team": grant.team.slug}
    rows = UsageInterval.objects.filter(meter="gpu", gpu_class=grant.gpu_class_id, started_at__lt=end, **whose)
    held = 0.0
    for quantity, began, ended in rows.values_list("quantity", "started_at", "ended_at"):
        inside = (min(ended or end, end) - max(began, grant.starts_at)).total_seconds()
        held += float(quantity) * max(inside, 0)
    return min(held / (grant.count * seconds), 1.0)


def _days(request: QuotaRequest) -> list[Day]:
    """The first DAYS_SHOWN days it would last, in the reader's time zone."""
    first = localtime(request.starts_at).replace(hour=0, minute=0, second=0, microsecond=0)
    found = []
    for n in range(DAYS_SHOWN):
        begin, end = first + timedelta(days=n), first + timedelta(days=n + 1)
        if begin >= request.ends_at:
            break
        found.append(Day(f"{begin.day}", _granted(request, begin, end), request.count))
    return found


def _granted(request: QuotaRequest, begin: datetime, end: datetime) -> int:
    others = Grant.objects.filter(gpu_class=request.gpu_class_id, revoked_at=None).exclude(request=request)
    total = others.filter(starts_at__lt=end, ends_at__gt=begin).aggregate(number=Sum("count"))["number"]
    return total or 0
