"""Writes to schedules, and does what they say: starts and stops workspaces by the week."""

from collections.abc import Callable
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

from django.db import transaction

from environments import actions
from environments.models import Schedule, Workspace
from environments.schedules import DAYS, Event, Plan, due, upcoming
from portal.accounts.access import teams_of
from portal.audit.actions import record
from portal.lib import clock, words
from portal.lib.errors import Conflict, Invalid, Problem
from portal.live.redis import publish

ACTOR = "schedule"
AGAIN = timedelta(seconds=10)
BATCH = 50


def checked(days: list[str], start: time | None, stop: time | None, zone: str) -> Plan:
    """Raises Invalid naming the field."""
    if not days or set(days) - set(DAYS):
        raise Invalid.field("days", f"Choose at least one of {', '.join(DAYS)}.")
    if start is None and stop is None:
        raise Invalid.field("start", "Give a time to start, a time to stop, or both.")
    if start == stop:
        raise Invalid.field("stop", "It cannot start and stop at the same time.")
    if zone not in available_timezones():
        raise Invalid.field("time_zone", f"There is no time zone “{zone[:60]}”. Write one such as Europe/Berlin.")
    return Plan(tuple(day for day in DAYS if day in days), start, stop, zone)


@transaction.atomic
def set_schedule(workspace: Workspace, plan: Plan, *, actor: str) -> Schedule:
    """From now on; what would have been due earlier is not made up for."""
    if workspace.deleted_at is not None:
        raise Conflict(f"{workspace.name} was deleted.", code="deleted")
    now = clock.now()
    values = {"days": list(plan.days), "start": plan.start, "stop": plan.stop, "zone": plan.zone}
    due_at = {"handled_until": now, "next_at": _next(plan, now), "note": "", "noted_at": None}
    row, _ = Schedule.objects.update_or_create(workspace=workspace, defaults=values | due_at)
    record(actor, "workspace.schedule", workspace.topic, after=values)
    publish(workspace.topic)
    return row


@transaction.atomic
def clear_schedule(workspace: Workspace, *, actor: str) -> None:
    """Clearing what is not there is no error."""
    if Schedule.objects.filter(workspace=workspace).delete()[0]:
        record(actor, "workspace.unschedule", workspace.topic)
        publish(workspace.topic)


def run_due() -> None:
    """For the tick."""
    waiting = Schedule.objects.filter(next_at__lte=clock.now()).order_by("next_at")
    for pk in waiting.values_list("pk", flat=True)[:BATCH]:
        run(pk)


@transaction.atomic
def run(workspace_id: str) -> None:
    """Do the last of what is due, once, however many ticks were missed; what is refused is noted for the page."""
    rows = Schedule.objects.select_for_update(skip_locked=True, of=("self",))
    row = rows.select_related("workspace__owner", "workspace__team").filter(pk=workspace_id).first()
    now = clock.now()
    if row is None or row.next_at is None or row.next_at > now:
        return
    plan = row.plan
    event = due(plan, row.handled_until, now)
    if event is not None and (again := _do(row, event, now)) is not None:
        Schedule.objects.filter(pk=row.pk).update(next_at=again)
        return
    following = None if row.workspace.deleted_at else _next(plan, now)
    Schedule.objects.filter(pk=row.pk).update(
        handled_until=now, next_at=following, note=row.note, noted_at=row.noted_at
    )
    publish(row.workspace.topic)


def _next(plan: Plan, now: datetime) -> datetime | None:
    return next((event.at for event in upcoming(plan, now, 1)), None)


def _do(row: Schedule, event: Event, now: datetime) -> datetime | None:
    """Start or stop it; when to try again, if it must wait."""
    workspace = row.workspace
    row.note, row.noted_at = "", None
    if event.what == "stop":
        if workspace.keep_until is not None and workspace.keep_until > now:
            return workspace.keep_until
        _or_note(row, lambda: actions.stop(workspace, actor=ACTOR), event)
        return None
    if not workspace.owner.is_active or not teams_of(workspace.owner).filter(pk=workspace.team_id).exists():
        _note(row, event, f"{workspace.owner.get_full_name()} is no longer in {workspace.team.name}.")
        return None
    return now + AGAIN if _or_note(row, lambda: actions.start(workspace, actor=ACTOR), event) == "stopping" else None


def _or_note(row: Schedule, act: Callable[[], object], event: Event) -> str:
    """Act; the code of the refusal, if it was refused."""
    try:
        act()
    except Problem as problem:
        sentences = [sentence for found in problem.fields.values() for sentence in found]
        _note(row, event, " ".join(sentences) or problem.detail)
        return problem.code
    return ""


def _note(row: Schedule, event: Event, why: str) -> None:
    row.note = f"It did not {event.what} at {words.exactly(event.at)}: {why}"[:300]
    row.noted_at = clock.now()


def said(event: Event, zone: str) -> str:
    """Starts Mon 23 Nov, 08:00."""
    at = event.at.astimezone(ZoneInfo(zone))
    return f"{'Starts' if event.what == 'start' else 'Stops'} {at:%a} {at.day} {at:%b, %H:%M}"
