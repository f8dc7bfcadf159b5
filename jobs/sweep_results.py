"""What a sweep has found: one row for each point, sorted as asked, and its metric against one parameter."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Count, Max, Min, Q, QuerySet
from django.utils.safestring import SafeString

from environments.spec import as_text
from jobs.models import Job, Scalar
from jobs.plan_models import Sweep
from jobs.plan_states import Goal
from jobs.spaces import is_log
from jobs.states import FINAL, UNFINISHED, J
from portal.lib import clock, plots
from portal.lib.money import Money
from portal.usage import costs

COLUMNS = ("point", "state", "best", "last", "duration", "cost")
PARAMETER = "parameter."
MOST_NAMES = 40
ENDED = FINAL


@dataclass(frozen=True, slots=True)
class Result:
    """One point. `best` and `last` are values of the sweep's metric; None where it was not told."""

    point: int
    job: str
    name: str
    parameters: dict[str, Any]
    state: J
    message: str
    best: float | None
    last: float | None
    duration_seconds: float | None
    cost: Money | None

    @property
    def values(self) -> list[str]:
        """Of the parameters in the space, in the order of their names."""
        return [as_text(value) for value in self.parameters.values()]


def results(sweep: Sweep) -> list[Result]:
    """All points in their order, with a fixed number of queries."""
    jobs = list(sweep.jobs.order_by("point").defer("command", "environment"))
    best, last, spent = _best(sweep), _last(sweep), costs.so_far(job.pk for job in jobs)
    names = sorted(sweep.space)
    return [
        Result(
            point=job.point or 0,
            job=job.pk,
            name=job.name,
            parameters={name: job.parameters[name] for name in names},
            state=J(job.state),
            message=job.message,
            best=best.get(job.pk),
            last=last.get(job.pk),
            duration_seconds=_seconds(job),
            cost=spent.get(job.pk),
        )
        for job in jobs
    ]


def _scalars(sweep: Sweep) -> QuerySet[Scalar]:
    return Scalar.objects.filter(job__sweep=sweep, name=sweep.metric)


def _best(sweep: Sweep) -> dict[str, float]:
    extreme = Min("value") if sweep.goal == Goal.MIN else Max("value")
    return dict(_scalars(sweep).order_by().values_list("job_id").annotate(best=extreme)) if sweep.metric else {}


def _last(sweep: Sweep) -> dict[str, float]:
    """Of the newest attempt that told it, what it told last."""
    rows = _scalars(sweep).order_by("job_id", "-attempt__number", "-seq").distinct("job_id")
    return dict(rows.values_list("job_id", "value")) if sweep.metric else {}


def _seconds(job: Job) -> float | None:
    return ((job.ended_at or clock.now()) - job.begun_at).total_seconds() if job.begun_at else None


def best_of(sweep: Sweep, rows: Sequence[Result]) -> Result | None:
    """The point with the best value; the first of equals."""
    told = [row for row in rows if row.best is not None]
    sign = 1 if sweep.goal == Goal.MIN else -1
    return min(told, key=lambda row: sign * (row.best or 0.0)) if told else None


def total(rows: Sequence[Result]) -> Money | None:
    """What all of them have cost so far."""
    spent = [row.cost for row in rows if row.cost]
    return Money(sum((cost.amount for cost in spent), Decimal(0)), spent[0].currency) if spent else None


def ordered(rows: Sequence[Result], column: str, *, falling: bool) -> list[Result]:
    """By one of COLUMNS or `parameter.<name>`; what has no value comes last either way, equals by their point."""
    known = [row for row in rows if _value(row, column) is not None]
    unknown = [row for row in rows if _value(row, column) is None]
    return sorted(known, key=lambda row: _key(_value(row, column)), reverse=falling) + unknown


def _value(row: Result, column: str) -> Any:
    if column.startswith(PARAMETER):
        return row.parameters.get(column.removeprefix(PARAMETER))
    if column == "duration":
        return row.duration_seconds
    if column == "cost":
        return row.cost.amount if row.cost else None
    return getattr(row, column)


def _key(value: Any) -> tuple[int, Any]:
    """Numbers before text."""
    return (1, value) if isinstance(value, str) else (0, value)


def drawing(sweep: Sweep, rows: Sequence[Result], parameter: str) -> SafeString:
    """The best value of each point against one parameter: by its size, or side by side where it is no number."""
    told = [(row.parameters[parameter], row.best) for row in rows if row.best is not None]
    names = _names([value for value, _ in told])
    if len(names) > MOST_NAMES:
        return SafeString("")
    dots = [(float(names.index(as_text(value)) if names else value), best) for value, best in told]
    log = is_log(sweep.space, parameter) and not names
    return plots.scatter(dots, _sentence(sweep, told, parameter), log=log, names=names)


def _names(values: Sequence[Any]) -> list[str]:
    """Of values that are not all numbers."""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return []
    return list(dict.fromkeys(map(as_text, values)))


def _sentence(sweep: Sweep, told: Sequence[tuple[Any, float]], parameter: str) -> str:
    if not told:
        return ""
    sign = 1 if sweep.goal == Goal.MIN else -1
    at, best = min(told, key=lambda one: sign * one[1])
    values = plots.number(min(one[1] for one in told)), plots.number(max(one[1] for one in told))
    points = "1 point" if len(told) == 1 else f"{len(told)} points"
    return (
        f"{sweep.metric} against {parameter}, {points}: from {values[0]} to {values[1]}, "
        f"best {plots.number(best)} where {parameter} is {as_text(at)}."
    )


def progress(sweeps: Sequence[Sweep]) -> dict[str, dict[str, Any]]:
    """How many points of each have ended, failed, run and are held back; one query."""
    rows = Job.objects.filter(sweep__in=[sweep.pk for sweep in sweeps]).order_by().values("sweep_id")
    open_ = Q(state__in=UNFINISHED)
    found = rows.annotate(
        succeeded=Count("pk", filter=Q(state=J.SUCCEEDED)),
        running=Count("pk", filter=open_ & Q(hold="")),
        held=Count("pk", filter=open_ & ~Q(hold="")),
        ended=Count("pk", filter=~open_),
    )
    return {row["sweep_id"]: dict(row) for row in found}
