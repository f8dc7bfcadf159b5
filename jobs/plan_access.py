"""The only way to a sweep or a schedule: strangers get 404, team members without the right 403."""

from typing import TypeVar

from django.db.models import Q, QuerySet

from jobs.access import Right, rights_on
from jobs.plan_models import Schedule, Sweep
from portal.accounts import access
from portal.accounts.models import User
from portal.lib import ids
from portal.lib.errors import Forbidden, Next, NotFound

Plan = TypeVar("Plan", Sweep, Schedule)


def sweeps_visible_to(user: User) -> QuerySet[Sweep]:
    """Their own; as lead those of their teams, as staff everyone's."""
    return _visible(user, Sweep.objects.select_related("owner", "team"))


def schedules_visible_to(user: User) -> QuerySet[Schedule]:
    """As sweeps."""
    return _visible(user, Schedule.objects.select_related("owner", "team", "last_job"))


def sweep_for(user: User, sweep_id: str, right: Right) -> Sweep:
    """Raises NotFound for strangers, Forbidden for team members who lack the right."""
    return _checked(user, Sweep.objects.select_related("owner", "team"), sweep_id, right, "sweep")


def schedule_for(user: User, schedule_id: str, right: Right) -> Schedule:
    """As `sweep_for`. Who may cancel its jobs may also pause and delete it."""
    rows = Schedule.objects.select_related("owner", "team", "last_job")
    return _checked(user, rows, schedule_id, right, "schedule")


def own_schedule(user: User, schedule_id: str) -> Schedule:
    """Only its owner changes what runs in their name."""
    schedule = schedule_for(user, schedule_id, Right.VIEW)
    if schedule.owner_id != user.pk:
        raise _belongs(schedule)
    return schedule


def _visible(user: User, rows: QuerySet[Plan]) -> QuerySet[Plan]:
    return rows if user.is_staff else rows.filter(Q(owner=user) | Q(team__in=access.leads(user)))


def _checked(user: User, rows: QuerySet[Plan], pk: str, right: Right, what: str) -> Plan:
    known = ids.PATTERN.fullmatch(pk.upper())
    found = rows.filter(pk=pk.upper()).first() if known else None
    held = rights_on(user, found) if found else Right(0)
    if found is None or (not held and found.team_id not in access.roles(user)):
        raise NotFound(f"There is no such {what}, or it is not yours.", next_step=Next("Your jobs", "/jobs/"))
    if right not in held:
        raise _belongs(found)
    return found


def _belongs(found: Sweep | Schedule) -> Forbidden:
    return Forbidden(f"{found.name} belongs to {found.owner.get_full_name()}.", next_step=Next("Your jobs", "/jobs/"))
