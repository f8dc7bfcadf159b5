"""A few jobs side by side: what each was given, what it measured, and what it took; where they differ is marked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Max, Min

from environments.spec import as_text
from jobs import cards, pages
from jobs.models import Job, Scalar
from jobs.states import J
from jobs.submission import written
from portal.lib import plots, words
from portal.usage import costs

LEAST, MOST = 2, 5
MOST_NAMES = 50
"""Of metrics."""


@dataclass(frozen=True, slots=True)
class Line:
    """One property of each job, in their order; empty where it has none."""

    label: str
    values: list[str]

    @property
    def differs(self) -> bool:
        return len(set(self.values)) > 1


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    lines: list[Line]


def sections(jobs: Sequence[Job]) -> list[Section]:
    records = [{row.label: str(row.value) for row in pages.record(job)} for job in jobs]
    parameters = [{name: as_text(value) for name, value in job.parameters.items()} for job in jobs]
    found = [
        Section("How it went", _lines(_went(jobs))),
        Section("Parameters", _lines(parameters)),
        Section("Metrics", _lines(_metrics(jobs))),
        Section("Record", _lines([_code(job) | record for job, record in zip(jobs, records, strict=True)])),
    ]
    return [section for section in found if section.lines]


def _lines(columns: Sequence[Mapping[str, str]]) -> list[Line]:
    """A line for each label that any of them has, in the order in which they come."""
    labels = dict.fromkeys(label for column in columns for label in column)
    return [Line(label, [column.get(label, "") for column in columns]) for label in labels]


def _went(jobs: Sequence[Job]) -> list[dict[str, str]]:
    spent = costs.so_far(job.pk for job in jobs)
    return [
        {
            "State": str(J(job.state).label),
            "Exit code": "" if job.exit_code is None else str(job.exit_code),
            "Attempts": str(job.attempts.count()),
            "Ran for": cards.lasted(job),
            "Cost": words.money(spent[job.pk]) if job.pk in spent else "",
        }
        for job in jobs
    ]


def _metrics(jobs: Sequence[Job]) -> list[dict[str, str]]:
    """What each told last, and its extremes: which of them is best, only who reads it knows."""
    told = Scalar.objects.filter(job__in=[job.pk for job in jobs])
    latest = told.order_by("job", "name", "-attempt__number", "-seq").distinct("job", "name")
    last = {(job, name): value for job, name, value in latest.values_list("job", "name", "value")}
    extremes = told.order_by().values_list("job", "name").annotate(least=Min("value"), greatest=Max("value"))
    ranges = {(job, name): (least, greatest) for job, name, least, greatest in extremes}
    names = sorted({name for _, name in ranges})[:MOST_NAMES]
    return [
        {
            f"{name}, {which}": plots.number(value)
            for name in names
            if (job.pk, name) in ranges
            for which, value in zip(
                ("last", "least", "greatest"), (last[job.pk, name], *ranges[job.pk, name]), strict=True
            )
        }
        for job in jobs
    ]


def _code(job: Job) -> dict[str, str]:
    found = {
        "Command": written(job.command),
        "Repository": job.git_url,
        "Commit": job.git_commit or job.git_ref,
        "Code's SHA-256": job.code_hash,
    }
    return {label: value for label, value in found.items() if value}
