"""How jobs ended, by day, by cause, and by environment or person: one's own, a team's, or everyone's."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, QuerySet
from django.db.models.functions import TruncDate
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.timezone import localtime

from jobs.finding import ALL
from jobs.models import Job
from jobs.states import J, JobState
from portal.accounts.models import User
from portal.compute.states import Reason
from portal.lib import clock, plots, words
from portal.lib.plots import Bars
from portal.usage import access, periods
from portal.usage.periods import Period

COLOURS = {J.SUCCEEDED: 1, J.FAILED: 4, J.TIMED_OUT: 2, J.LOST: 3, J.CANCELLED: 5}
"""Of each state in which a job is over, in the order in which they lie upon each other."""
FAILURES = (J.FAILED, J.TIMED_OUT, J.LOST)
ROWS = 100


@dataclass(frozen=True, slots=True)
class Group:
    """`columns` are the value that the list of jobs is narrowed by, and what people call it."""

    label: str
    columns: tuple[str, str]


BY = {
    "template": Group("Environment", ("version__template__slug", "version__template__name")),
    "owner": Group("Person", ("owner__username", "owner__name")),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """`scope` is one of the `choices`."""

    choices: Sequence[access.Choice]
    scope: access.Choice
    period: str
    by: str

    def link(self, **changes: str) -> str:
        """The same page with something else chosen."""
        return "?" + urlencode({"scope": self.scope.slug, "period": self.period, "by": self.by} | changes)


@dataclass(frozen=True, slots=True)
class Row:
    """`numbers` are those of each state in COLOURS; `url` lists the jobs."""

    name: str
    numbers: list[int]
    url: str

    @property
    def whole(self) -> int:
        return sum(self.numbers)

    @property
    def succeeded(self) -> int:
        """Percent, of those that nobody cancelled; 0 without any."""
        tried = self.whole - self.numbers[-1]
        return round(self.numbers[0] / tried * 100) if tried else 0


def asked(user: User, query: Mapping[str, str]) -> Asked:
    """Raises Invalid for `scope`; anything else unknown is the default."""
    period, by = query.get("period", "30"), query.get("by", "template")
    choices = access.choices(user)
    return Asked(
        choices,
        access.chosen(choices, query.get("scope") or access.first_shown(choices)),
        period if period in periods.PERIODS else "30",
        by if by in BY else "template",
    )


def page(wanted: Asked) -> dict[str, Any]:
    period = periods.named(wanted.period)
    days = _days(wanted, period)
    ended = [sum(numbers) for numbers in zip(*(day.numbers for day in days), strict=True)]
    tried = sum(ended[:-1])
    return {
        "asked": wanted,
        "since": words.day(period.since),
        "until": words.day(periods.midnight(min(period.last, localtime(clock.now()).date()))),
        "choices": [(one.label, wanted.link(scope=one.slug), one == wanted.scope) for one in wanted.choices],
        "periods": [
            (label, wanted.link(period=name), name == wanted.period) for name, label in periods.PERIODS.items()
        ],
        "groups": [(group.label, wanted.link(by=name), name == wanted.by) for name, group in BY.items()],
        "figures": [
            (state.label, number, _jobs(wanted, period.since, period.until, state=state))
            for state, number in zip(COLOURS, ended, strict=True)
        ],
        "succeeded": words.percent(ended[0] / tried) if tried else "",
        "bars": _bars(days),
        "causes": _causes(wanted, period, sum(ended[1:-1])),
        "by": BY[wanted.by].label,
        "rows": _rows(wanted, period),
        "export": wanted.link(),
    }


def ended_in(wanted: Asked, period: Period) -> QuerySet[Job]:
    scope = wanted.scope.scope
    rows = Job.objects.order_by().filter(ended_at__gte=period.since, ended_at__lt=period.until)
    rows = rows.filter(owner__username=scope.user) if scope.user else rows
    return rows if scope.teams is None else rows.filter(team__slug__in=scope.teams)


def _days(wanted: Asked, period: Period) -> list[Row]:
    """Each day up to today, the first one first."""
    counted = ended_in(wanted, period).annotate(day=TruncDate("ended_at")).values_list("day", "state")
    found: dict[tuple[date, str], int] = {(day, state): number for day, state, number in counted.annotate(Count("pk"))}
    now = clock.now()
    return [
        Row(
            words.day(localtime(start)),
            [found.get((localtime(start).date(), state), 0) for state in COLOURS],
            _jobs(wanted, start, until),
        )
        for start, until in periods.buckets(period, "day")
        if start <= now
    ]


def _bars(days: list[Row]) -> Bars:
    layers = [
        plots.Layer(state.label, [float(day.numbers[n]) for day in days], colour)
        for n, (state, colour) in enumerate(COLOURS.items())
    ]
    most = max(days, key=lambda day: day.whole)
    about = f"Jobs that ended each day from {days[0].name} to {days[-1].name}, most on {most.name} with {most.whole}."
    names = [day.name.partition(" ")[0] for day in days]
    drawn = plots.stacked(names, layers, about, lambda height: f"{height:g}" if height == int(height) else "")
    return Bars(
        title="Ended each day",
        drawn=drawn if most.whole else SafeString(""),
        legend=[(state.label, colour) for state, colour in COLOURS.items()],
        numbers="Days as numbers",
        heads=["Day", *(state.label for state in COLOURS)],
        rows=[(day.name, day.url, [str(number) for number in day.numbers]) for day in days],
    )


def _causes(wanted: Asked, period: Period, failed: int) -> list[tuple[str, int, int, str]]:
    """Why they failed: in words, how many, the share of all failures in percent, and where they are listed."""
    counted = ended_in(wanted, period).filter(state__in=FAILURES).values_list("state", "reason").annotate(Count("pk"))
    return [
        (
            _cause(J(state), Reason(reason)),
            number,
            round(number / failed * 100),
            _jobs(wanted, period.since, period.until, state=state, reason=reason),
        )
        for state, reason, number in sorted(counted, key=lambda row: (-row[2], row[1]))
    ]


def _cause(state: JobState, reason: Reason) -> str:
    return str(reason.label or state.label)


def _rows(wanted: Asked, period: Period) -> list[Row]:
    """Whoever or whatever failed most comes first."""
    group = BY[wanted.by]
    found: dict[str, dict[str, int]] = defaultdict(dict)
    names: dict[str, str] = {}
    for value, name, state, number in (
        ended_in(wanted, period).values_list(*group.columns, "state").annotate(Count("pk"))
    ):
        found[value][state], names[value] = number, name
    rows = [
        Row(
            names[value] or value,
            [numbers.get(state, 0) for state in COLOURS],
            _jobs(wanted, period.since, period.until, **{wanted.by: value}),
        )
        for value, numbers in found.items()
    ]
    return sorted(rows, key=lambda row: (-sum(row.numbers[1:-1]), -row.whole, row.name))[:ROWS]


def _jobs(wanted: Asked, since: datetime, until: datetime, **only: str) -> str:
    """The list of the jobs that a number is made of."""
    scope = wanted.scope.scope
    query = {"ended_since": since.isoformat(), "ended_before": until.isoformat()}
    query |= {} if scope.user else {"owner": ALL}
    query |= {"team": scope.teams[0]} if scope.teams else {}
    return f"{reverse('jobs')}?{urlencode(query | {name: value for name, value in only.items() if value})}"


def lines(wanted: Asked) -> Iterator[list[str]]:
    """A head and a line for each day, environment, person, state and cause, for spreadsheets."""
    yield ["day", "template", "owner", "state", "reason", "jobs"]
    columns = ("version__template__slug", "owner__username", "state", "reason")
    rows = ended_in(wanted, periods.named(wanted.period)).annotate(day=TruncDate("ended_at"))
    for day, *values, number in rows.values_list("day", *columns).annotate(Count("pk")).order_by("day", *columns):
        yield [day.isoformat(), *values, str(number)]
