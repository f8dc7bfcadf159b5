"""Gathers the page of usage and cost: figures, bars for each day, and a table of whom or what it went to."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl, urlencode

from django.conf import settings
from django.db.models import F, OuterRef, Q, Subquery
from django.utils import timezone

from portal.accounts import saved_views
from portal.accounts.models import Team, User
from portal.compute import owners
from portal.compute.models import Allocation, Transition
from portal.compute.states import Phase
from portal.lib import clock, words
from portal.lib.money import Money
from portal.quotas.models import gpu_words
from portal.usage import access, budgets, charts, periods, reports, running_now, storage
from portal.usage.costs import SECONDS_PER_HOUR
from portal.usage.meters import STORAGE
from portal.usage.models import Budget
from portal.usage.periods import Period
from portal.usage.reports import Bucket, Scope, Sum

PAGE = "usage"
LAYERS = 5
OTHERS, EVERYTHING = "others", "everything"
ROWS = 100
MOST_READ = 20_000
"""So many intervals are added up in a moment."""
MOST_WAITS = 500
BY = {
    "user": "Person",
    "project": "Project",
    "template": "Environment",
    "gpu_class": "GPU class",
    "kind": "Kind",
    "node": "Node",
    "team": "Team",
    "owner": "Item",
}
KINDS = {"workspace": "Workspaces", "job": "Jobs", storage.KIND: "Files"}


@dataclass(frozen=True, slots=True)
class Asked:
    """`scope` is one of the `choices`; `only` narrows to one value of each group named."""

    choices: Sequence[access.Choice]
    scope: access.Choice
    period: str
    by: str
    only: dict[str, str]

    def query(self, **changes: Any) -> str:
        """What asks for it, with something else chosen; None takes a narrowing away."""
        values: dict[str, Any] = {"scope": self.scope.slug, "period": self.period, "by": self.by} | self.only
        return urlencode({name: value for name, value in (values | changes).items() if value is not None})

    def link(self, **changes: Any) -> str:
        return f"?{self.query(**changes)}"


@dataclass(frozen=True, slots=True)
class Row:
    """`share` is of the most expensive and `at_work` of what was measured, in percent; `url` looks closer.

    `files` is how many GiB were kept on average, up to now.
    """

    name: str
    cost: Money
    hours: Mapping[str, Decimal]
    at_work: Mapping[str, int]
    files: Decimal
    share: int
    url: str


def asked(user: User, query: Mapping[str, str]) -> Asked:
    """Raises Invalid for `scope`; anything else unknown is the default."""
    choices = access.choices(user)
    scope = access.chosen(choices, query.get("scope") or access.first_shown(choices))
    period = query.get("period", "month")
    by = query.get("by", "template" if scope.slug == access.MINE else "user")
    only = {name: query[name][:200] for name in BY if name in query and "\0" not in query[name]}
    known = period in periods.PERIODS or periods.dated(period)
    return Asked(choices, scope, period if known else "month", by if by in BY else "user", only)


@timezone.override(UTC)
def page(user: User, wanted: Asked) -> dict[str, Any]:
    """Its days and months are those of UTC, in which budgets and statements count."""
    period = periods.named(wanted.period)
    scope = _scope(wanted)
    buckets = periods.buckets(period, period.step)
    over = _over(period)
    found = _by_time(scope, buckets, over)
    steps = _steps(wanted, period.step, buckets, found)
    whole = reports.total(steps.sums)
    grouped = _split(scope, period, wanted.by)
    many = not grouped and any(whole.held.values())
    names = _names(wanted.by, [value for (value,) in grouped])
    return {
        "asked": wanted,
        "choices": _links(wanted, "scope", {one.slug: one.label for one in wanted.choices}, wanted.scope.slug),
        "periods": _links(wanted, "period", periods.PERIODS | _period_words(wanted.period), wanted.period),
        "groups": _links(wanted, "by", BY, wanted.by),
        "narrowed": [
            (BY[name], _names(name, [value])[value], wanted.link(**{name: None})) for name, value in wanted.only.items()
        ],
        "spent": _money(whole.cost),
        "compared": _compared(found, period, over),
        "per_hour": _money(reports.rate(scope)),
        "hours": whole.hours,
        "at_work": whole.at_work,
        "files": _files(whole, period),
        "waits": _waits(scope, period),
        "running": running_now.running(wanted.scope.scope),
        "looks_after": wanted.scope.slug != access.MINE,
        "spent_bars": charts.spent(steps, _layers(wanted, buckets, names), _rest(names, many)),
        "gpu_bars": charts.gpu_hours(steps),
        "by": BY[wanted.by],
        "rows": _rows(grouped, wanted, names, period),
        "more": len(grouped) > ROWS,
        "many": f"{MOST_READ:,}" if many else "",
        "export": wanted.link(),
        "saved": saved_views.of(user, PAGE, wanted.query()),
        "query": dict(parse_qsl(wanted.query())),
        **_budgets(wanted),
    }


def _split(scope: Scope, period: Period, by: str) -> dict[tuple[str, ...], Sum]:
    """The most expensive; nothing, where that would take long to add up."""
    found = reports.sums(scope, [(period.since, period.until)], [by], most=ROWS + 1, at_most=MOST_READ)
    return reports.by_group(found)


def _over(period: Period) -> Period:
    """Its days that are over, which may be none: a day that is not over compares with none."""
    today = clock.now().astimezone(UTC).date()
    return Period(period.first, min(period.last, today - timedelta(days=1)))


def _by_time(scope: Scope, buckets: Sequence[Bucket], over: Period) -> dict[datetime, Sum]:
    """By begin of what lies between all edges: of the buckets, of the days that are over, and of as many before."""
    edges = {moment for bucket in buckets for moment in bucket}
    if over.days:
        edges |= {over.before.since, over.until}
    return {start: one for (start, _), one in reports.sums(scope, list(pairwise(sorted(edges)))).items()}


def _within(found: Mapping[datetime, Sum], since: datetime, until: datetime) -> Sum:
    return reports.total(one for start, one in found.items() if since <= start < until)


def _steps(wanted: Asked, step: str, buckets: Sequence[Bucket], found: Mapping[datetime, Sum]) -> charts.Steps:
    """What was used in each; one alone leads nowhere else."""
    form = "%Y-%m" if step == "month" else "%Y-%m-%d"
    starts = [start for start, _ in buckets]
    urls = [wanted.link(period=start.strftime(form)) for start in starts] if len(starts) > 1 else [""]
    return charts.Steps(step, starts, [_within(found, *bucket) for bucket in buckets], urls)


def _period_words(name: str) -> dict[str, str]:
    """What people call a day or a month that was chosen by its date."""
    if not (period := periods.dated(name)):
        return {}
    return {name: words.day(period.since) if period.days == 1 else f"{period.since:%B %Y}"}


def _layers(wanted: Asked, buckets: Sequence[Bucket], names: Mapping[str, str]) -> list[tuple[str, list[Sum]]]:
    """What the first of these groups used in each bucket, by their names."""
    shown = list(names)[:LAYERS]
    found = reports.sums(_scope(wanted, **{wanted.by: shown}), buckets, [wanted.by]) if shown else {}
    return [(names[value], [found.get((start, (value,)), Sum()) for start, _ in buckets]) for value in shown]


def _rest(names: Mapping[str, str], many: bool) -> str:
    """What the layers leave, if anything."""
    return EVERYTHING if many else OTHERS if len(names) > LAYERS else ""


def _budgets(wanted: Asked) -> dict[str, Any]:
    """Of one team, and of the person or project that it is narrowed to; or one's own."""
    rows = Budget.objects.select_related("team", "user")
    if wanted.scope.slug == access.MINE:
        return {"budgets": budgets.stand(rows.filter(user__username=wanted.scope.scope.user))}
    if not wanted.scope.scope.teams:
        return {}
    [slug] = wanted.scope.scope.teams
    looked_at = Q(user=None, project="") | Q(user__username=wanted.only.get("user", ""))
    if project := wanted.only.get("project"):
        looked_at |= Q(project=project)
    return {"budget_team": slug, "budgets": budgets.stand(rows.filter(looked_at, team__slug=slug))}


def _links(wanted: Asked, name: str, known: Mapping[str, str], current: str) -> list[tuple[str, str, bool]]:
    """Label, address and whether it is what is shown, of each choice."""
    return [(label, wanted.link(**{name: value}), value == current) for value, label in known.items()]


def _scope(wanted: Asked, **only: Collection[str]) -> Scope:
    return Scope(wanted.scope.scope.user, wanted.scope.scope.teams, wanted.only | only)


def _money(amount: Decimal) -> Money:
    return Money(amount, settings.CURRENCY)


def _compared(found: Mapping[datetime, Sum], period: Period, over: Period) -> str:
    """The days that are over with as many before them."""
    if not over.days:
        return ""
    before, now = (_within(found, each.since, each.until).cost for each in (over.before, over))
    if not before:
        return "nothing in the time before"
    change = (now - before) / before
    word = "more" if change > 0 else "less"
    days = "the day" if over.days == 1 else f"the {over.days} days"
    left_out = ", today left out" if period != over else ""
    return f"{words.percent(abs(change))} {word} than in {days} before{left_out}"


def _waits(scope: Scope, period: Period) -> str | None:
    """Median and nine tenths of the last that were placed: from the wish to its place. None if nobody can say."""
    if not scope.only.keys() <= reports.ALLOCATED.keys():
        return None
    placed = Transition.objects.filter(allocation=OuterRef("pk"), to_phase=Phase.ADMITTED).values("at")[:1]
    asked_for = Allocation.objects.filter(created_at__gte=period.since, created_at__lt=period.until)
    latest = scope.allocations(asked_for).annotate(wait=Subquery(placed) - F("created_at")).order_by("-created_at")
    waits = latest.values_list("wait", flat=True)[:MOST_WAITS]
    found = sorted(wait.total_seconds() for wait in waits if wait is not None)
    if not found:
        return ""
    median, most = found[len(found) // 2], found[min(len(found) * 9 // 10, len(found) - 1)]
    return f"{words.duration(median)}; nine of ten within {words.duration(most)}"


def _names(by: str, values: list[str]) -> dict[str, str]:
    """What people call these. Of what is no longer there, what the row says."""
    known: dict[str, str] = {}
    if by == "owner":
        known = {pk: subject.name for pk, subject in owners.find(values[:ROWS]).items()}
    elif by == "user":
        known = {one.username: one.get_full_name() for one in User.objects.filter(username__in=values)}
    elif by == "team":
        known = dict(Team.objects.filter(slug__in=values).values_list("slug", "name"))
    return {value: known.get(value) or _name(by, value) for value in values}


def _name(by: str, value: str) -> str:
    match by:
        case "gpu_class":
            return gpu_words(value) or reports.NONE[by]
        case "kind":
            return KINDS.get(value, value)
        case _:
            return value or reports.NONE[by]


def _files(one: Sum, period: Period) -> Decimal:
    """GiB on average over the period, as far as it has come."""
    return one.held[STORAGE] / max(int((min(period.until, clock.now()) - period.since).total_seconds()), 1)


def _rows(grouped: dict[tuple[str, ...], Sum], wanted: Asked, names: dict[str, str], period: Period) -> list[Row]:
    most = next(iter(grouped.values())).cost if grouped else Decimal(0)
    return [
        Row(
            name=names[value],
            cost=_money(one.cost),
            hours=one.hours,
            at_work=one.at_work,
            files=_files(one, period),
            share=round(one.cost / most * 100) if most else 0,
            url=wanted.link(**{wanted.by: value, "by": "owner" if wanted.by != "owner" else "user"}),
        )
        for (value,), one in list(grouped.items())[:ROWS]
    ]


@timezone.override(UTC)
def lines(wanted: Asked) -> list[list[str]]:
    """A head and a line for each day and group, for spreadsheets; amounts are exact to ten digits, hours to four.

    Of core and GPU hours there is what was measured and, of that, used.
    """
    period = periods.named(wanted.period)
    found = reports.sums(_scope(wanted), periods.buckets(period, "day"), [wanted.by])
    head = ["day", wanted.by, "cost", "currency", "cpu_core_hours", "memory_gib_hours", "gpu_hours"]
    head += ["cpu_core_hours_measured", "cpu_core_hours_used", "gpu_hours_measured", "gpu_hours_used"]
    head += ["storage_gib_hours"]
    return [head] + [
        [
            start.date().isoformat(),
            value,
            f"{one.cost:.10f}",
            settings.CURRENCY,
            *(f"{one.hours.get(meter, Decimal(0)):.4f}" for meter in ("cpu", "memory", "gpu")),
            *(f"{each[meter] / SECONDS_PER_HOUR:.4f}" for meter in ("cpu", "gpu") for each in (one.measured, one.used)),
            f"{one.hours.get(STORAGE, Decimal(0)):.4f}",
        ]
        for (start, (value,)), one in sorted(found.items())
    ]


@timezone.override(UTC)
def title(wanted: Asked) -> str:
    period, today = periods.named(wanted.period), clock.now().astimezone(UTC).date()
    days = dict.fromkeys(words.day(periods.midnight(day)) for day in (period.first, min(period.last, today)))
    return f"{wanted.scope.label}, {' to '.join(days)}{', up to now' if period.last >= today else ''}"
