"""Writes to schedules, and makes the jobs that are due: one for each due time and change, whoever ticks how often."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from django.db import transaction
from django.db.models import DurationField, ExpressionWrapper, F, OuterRef, QuerySet, Subquery, Value

from environments import dataset_versions
from environments.dataset_models import DatasetVersion
from environments.models import Dataset
from jobs import actions, checks, cron, telling
from jobs.models import Job
from jobs.plan_models import STILL_MINUTES, Origin, Schedule
from jobs.plan_states import AfterCondition, Missed, Overlap
from jobs.states import UNFINISHED
from jobs.stored import as_json, from_json
from jobs.submission import Submission
from jobs.sweeps import of_job
from portal.accounts.models import User
from portal.audit.actions import record
from portal.lib import clock, words
from portal.lib.errors import Invalid, Problem
from portal.live.redis import publish

logger = logging.getLogger(__name__)

ACTOR = "schedule"
BATCH = 50
LATE = timedelta(minutes=5)
"""What could not be made for so long after its due time was missed."""
MOST_WAITING = 10
"""So many jobs of one schedule may wait for each other; then runs are left out."""
MOST_SCHEDULES = 200
LONGEST_STILL = 24 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleAsked:
    """As it was asked, unchecked."""

    job: Submission
    cron: str = ""
    time_zone: str = "UTC"
    overlap: str = Overlap.SKIP
    missed: str = Missed.SKIP
    on_change: str | None = None
    still_minutes: int = STILL_MINUTES
    name: str = ""
    paused: bool = False


def asked_of(row: Schedule) -> ScheduleAsked:
    return ScheduleAsked(
        job=from_json(row.submission),
        cron=row.cron,
        time_zone=row.zone,
        overlap=row.overlap,
        missed=row.missed,
        on_change=row.on_change_id,
        still_minutes=row.still_minutes,
        name=row.name,
        paused=row.paused,
    )


def _columns(owner: User, asked: ScheduleAsked) -> dict[str, Any]:
    """Checked; the job too, as if it were submitted now. Raises Invalid naming the field."""
    tidy, dataset = _when(owner, asked)
    for field, value, known in (("overlap", asked.overlap, Overlap), ("missed", asked.missed, Missed)):
        if value not in known.values:
            raise Invalid.field(field, f"Choose one of: {', '.join(known.values)}.")
    if asked.job.after:
        raise Invalid.field("job.after", "What a schedule makes waits for its time, not for other jobs.")
    try:
        job = actions.check(owner, asked.job)
    except Invalid as problem:
        raise of_job(problem) from problem
    return {
        "name": checks.name(replace(asked.job, name=asked.name)) if asked.name.strip() else job["name"],
        "team": job["team"],
        "submission": as_json(replace(asked.job, team=job["team"].slug)),
        "cron": tidy,
        "zone": asked.time_zone,
        "overlap": asked.overlap,
        "missed": asked.missed,
        "on_change": dataset,
        "still_minutes": asked.still_minutes,
        "handled_version": _newest(dataset.pk) if dataset else 0,
        "paused": asked.paused,
        "next_run_at": None if asked.paused else _next(tidy, asked.time_zone, clock.now()),
    }


def _when(owner: User, asked: ScheduleAsked) -> tuple[str, Dataset | None]:
    """The expression, tidied, and the dataset, of which there is one at least."""
    cron.check_zone(asked.time_zone)
    if not asked.cron.strip() and not asked.on_change:
        raise Invalid.field("cron", "Say when it runs: five fields as in cron, or a dataset whose changes it follows.")
    if not 0 <= asked.still_minutes <= LONGEST_STILL:
        raise Invalid.field("still_minutes", f"Choose a number from 0 to {LONGEST_STILL:,}.")
    tidy = cron.check(asked.cron, asked.time_zone) if asked.cron.strip() else ""
    return tidy, checks.inputs(owner, [asked.on_change], "on_change")[0] if asked.on_change else None


def _next(expression: str, zone: str, after: datetime) -> datetime | None:
    return cron.first_after(expression, zone, after) if expression else None


def _newest(dataset: str) -> int:
    """The number of its newest version; 0 before the first."""
    found = dataset_versions.newest([dataset]).get(dataset)
    return found.number if found else 0


@transaction.atomic
def create(owner: User, asked: ScheduleAsked, *, actor: str) -> Schedule:
    """From now on. Raises Invalid naming the field; those of the job begin with `job.`."""
    if Schedule.objects.filter(owner=owner).count() >= MOST_SCHEDULES:
        raise Invalid.field("name", f"You have {MOST_SCHEDULES} schedules already. Delete one first.")
    row = Schedule.objects.create(owner=owner, **_columns(owner, asked))
    record(actor, "schedule.create", row.topic, after=_shown(row))
    _tell(row)
    return row


@transaction.atomic
def change(schedule: Schedule, asked: ScheduleAsked, *, actor: str) -> Schedule:
    """From now on it is so; due times that have passed are not made up for. A change waited for is still."""
    row = Schedule.objects.select_for_update(of=("self",)).select_related("owner").get(pk=schedule.pk)
    columns = _columns(row.owner, asked)
    if not row.paused and row.on_change == columns["on_change"]:
        del columns["handled_version"]
    record(actor, "schedule.change", row.topic, before=_shown(row), after={k: str(columns[k]) for k in _shown(row)})
    _write(row, **columns, note="", noted_at=None)
    return row


def _shown(row: Schedule) -> dict[str, str]:
    names = ("name", "cron", "zone", "overlap", "missed", "on_change", "still_minutes", "paused")
    return {name: str(getattr(row, name)) for name in names}


@transaction.atomic
def pause(schedule: Schedule, *, actor: str) -> None:
    """Nothing is due any more. Pausing twice is no error."""
    if Schedule.objects.filter(pk=schedule.pk, paused=False).update(paused=True, next_run_at=None):
        record(actor, "schedule.pause", schedule.topic)
        _tell(schedule)


def resume(schedule: Schedule, *, actor: str) -> Schedule:
    """From now on again, checked as when it was made. Raises Invalid naming what no longer is."""
    return change(schedule, replace(asked_of(schedule), paused=False), actor=actor)


@transaction.atomic
def delete(schedule: Schedule, *, actor: str) -> None:
    """Its jobs stay, those that wait or run go on."""
    if Schedule.objects.filter(pk=schedule.pk).delete()[0]:
        record(actor, "schedule.delete", schedule.topic, before=_shown(schedule))
        _tell(schedule)


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A run that is due: what its job is made for, how people call it, and what is written once it is dealt with."""

    origin: Origin
    when: str
    done: Mapping[str, Any]


def run_due() -> None:
    """Part of every tick."""
    due = Schedule.objects.filter(paused=False, next_run_at__lte=clock.now()).order_by("next_run_at")
    for rows, act, skip in ((due, run, _skip_time), (_changed().order_by("pk"), run_change, _skip_change)):
        for pk in rows.values_list("pk", flat=True)[:BATCH]:
            try:
                act(pk)
            except SoftTimeLimitExceeded:  # the next tick goes on; nothing is wrong with the schedule
                raise
            except Exception:
                logger.exception("schedule %s could not be run", pk)
                _postpone(pk, skip)


@transaction.atomic
def run(schedule_id: str) -> None:
    """Do what is due of it, once: whoever holds the row decides, and the due time it moves to is later."""
    rows = Schedule.objects.select_for_update(skip_locked=True, of=("self",)).select_related("owner")
    row = rows.filter(pk=schedule_id, paused=False, next_run_at__lte=clock.now()).first()
    if row is None or row.next_run_at is None:
        return
    now, due = clock.now(), row.next_run_at
    if now - due > LATE:
        _late(row, due, now)
        return
    _make(row, _at(row, due))


@transaction.atomic
def run_change(schedule_id: str) -> None:
    """As `run`, for the newest version of the dataset that it follows, however many came before it."""
    rows = _changed().select_for_update(skip_locked=True, of=("self",)).select_related("owner")
    row = rows.filter(pk=schedule_id).first()
    if row is None or row.on_change_id is None:
        return
    number = row.newest  # type: ignore[attr-defined]
    version = DatasetVersion.objects.get(dataset=row.on_change_id, number=number)
    origin = Origin(schedule=row, due_version=version)
    _make(row, Due(origin=origin, when=f"for {version}", done={"handled_version": number}))


def _changed() -> QuerySet[Schedule]:
    """Those whose dataset has a version that nothing was done about, and that has stayed for as long as they want."""
    versions = DatasetVersion.objects.filter(dataset=OuterRef("on_change")).order_by("-number")
    stayed = versions.values(stayed=ExpressionWrapper(F("still_at") - F("seen_at"), DurationField()))
    wanted = ExpressionWrapper(F("still_minutes") * Value(timedelta(minutes=1)), DurationField())
    rows = Schedule.objects.filter(paused=False, on_change__isnull=False)
    rows = rows.annotate(newest=Subquery(versions.values("number")[:1]), stayed=Subquery(stayed[:1]))
    return rows.filter(newest__gt=F("handled_version"), stayed__gte=wanted)


def _at(row: Schedule, due: datetime) -> Due:
    done = {"next_run_at": cron.first_after(row.cron, row.zone, due)}
    return Due(origin=Origin(schedule=row, due_at=due), when=f"at {words.exactly(due)}", done=done)


def _late(row: Schedule, due: datetime, now: datetime) -> None:
    if row.missed == Missed.RUN_ONCE:
        _make(row, _at(row, cron.latest(row.cron, row.zone, due, now)))
        return
    last = _at(row, cron.latest(row.cron, row.zone, due, now - LATE))
    _write(row, **_noted(f"It did not run {last.when}: Berth was not there at that time."), **last.done)


def _make(row: Schedule, due: Due) -> None:
    """The job of this run, unless the overlap policy leaves it out or it is refused."""
    unfinished = list(Job.objects.filter(schedule=row, state__in=UNFINISHED).order_by("pk")[: MOST_WAITING + 1])
    if why := _left_out(row, unfinished):
        _write(row, **_noted(f"It did not run {due.when}: {why}"), **due.done)
        return
    try:
        with transaction.atomic():
            job = _submit(row, due.origin, unfinished)
    except Problem as problem:
        sentence = " ".join(said for found in problem.fields.values() for said in found) or problem.detail
        record(ACTOR, "schedule.pause", row.topic, after={"why": sentence})
        _write(row, **_noted(f"Paused, because its job was refused: {sentence}"), paused=True, next_run_at=None)
        telling.schedule_paused(row, due.origin, sentence)
        return
    _write(row, last_job=job, note="", noted_at=None, **due.done)


def _left_out(row: Schedule, unfinished: list[Job]) -> str:
    if unfinished and row.overlap == Overlap.SKIP:
        return f"{unfinished[-1].name} of the run before has not ended."
    if len(unfinished) > MOST_WAITING:
        return f"{MOST_WAITING} of its jobs wait already."
    return ""


def _submit(row: Schedule, origin: Origin, unfinished: list[Job]) -> Job:
    """Where it overlaps, it waits for the end of the one before: its own, or the one asked for here."""
    if not row.owner.is_active:
        raise Invalid.field("owner", f"{row.owner.get_full_name()} can no longer sign in.")
    if origin.due_version:
        checks.inputs(row.owner, [origin.due_version.dataset_id], "on_change")
    if row.overlap == Overlap.REPLACE:
        for job in unfinished:
            actions.cancel(job, actor=ACTOR)
    waits_for = [job.pk for job in unfinished[-1:]]
    asked = replace(from_json(row.submission), after=waits_for, after_condition=AfterCondition.ALL_ENDED)
    return actions.submit(row.owner, asked, actor=ACTOR, origin=origin)


@transaction.atomic
def _postpone(schedule_id: str, skip: Callable[[Schedule], Mapping[str, Any]]) -> None:
    """A fault of ours costs one run, not a crash at every tick."""
    row = Schedule.objects.select_for_update(skip_locked=True, of=("self",)).filter(pk=schedule_id).first()
    if row is not None and not row.paused:
        note = "It did not run because of a fault in Berth; an administrator finds it in the log."
        _write(row, **_noted(note), **skip(row))


def _skip_time(row: Schedule) -> Mapping[str, Any]:
    return {"next_run_at": _next(row.cron, row.zone, clock.now())}


def _skip_change(row: Schedule) -> Mapping[str, Any]:
    return {"handled_version": _newest(row.on_change_id) if row.on_change_id else 0}


def _noted(sentence: str) -> Mapping[str, Any]:
    return {"note": sentence[:500], "noted_at": clock.now()}


def _write(row: Schedule, **columns: Any) -> None:
    for name, value in columns.items():
        setattr(row, name, value)
    row.save(update_fields=list(columns))
    _tell(row)


def _tell(row: Schedule) -> None:
    publish(row.topic, f"schedules-{row.owner_id}")
