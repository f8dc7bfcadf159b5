"""Writes: a workspace becomes what all jobs of its team may use, such as its MLflow, and is that no longer."""

from django.conf import settings
from django.db import IntegrityError, transaction

from environments.actions import locked
from environments.models import Workspace
from portal.accounts.access import leads
from portal.accounts.models import User
from portal.audit.actions import record
from portal.lib.errors import Conflict, Forbidden, Next
from portal.live.redis import publish


def may_serve(user: User, workspace: Workspace) -> bool:
    """It can be that at all, it is theirs, and they decide for the team."""
    able = workspace.version.template.serves and settings.SERVICES_PORT and workspace.deleted_at is None
    return bool(able) and workspace.owner_id == user.pk and leads(user).filter(pk=workspace.team_id).exists()


@transaction.atomic
def serve(workspace: Workspace, *, by: User) -> Workspace:
    """From now on it is what its template says, for its team. Saying so twice is no error.

    Raises Forbidden where they may not, Conflict where the team has another one.
    """
    row = locked(workspace)
    if row.serves_team:
        return row
    if not may_serve(by, row):
        raise Forbidden(f"Only who owns {row.name} and leads {row.team.name} can give it to the team, and only MLflow.")
    row.serves_team = row.version.template.serves
    try:
        with transaction.atomic():
            row.save(update_fields=["serves_team"])
    except IntegrityError:
        raise _taken(row) from None
    record(by.username, "workspace.serve_team", row.topic, after={"team": row.team.slug, "serves": row.serves_team})
    publish(row.topic)
    return row


@transaction.atomic
def take_back(workspace: Workspace, *, actor: str) -> Workspace:
    """Jobs of the team can use it no more, also those that run. Taking it back twice is no error."""
    row = locked(workspace)
    if row.serves_team:
        before = {"team": row.team.slug, "serves": row.serves_team}
        row.serves_team = ""
        row.save(update_fields=["serves_team"])
        record(actor, "workspace.leave_team", row.topic, before=before)
        publish(row.topic)
    return row


def _taken(row: Workspace) -> Conflict:
    other = Workspace.objects.get(team=row.team, serves_team=row.serves_team, deleted_at=None)
    return Conflict(
        f"{row.team.name} uses {other.name} of {other.owner.get_full_name()}. Take that back first.",
        code="team_is_served",
        next_step=Next("See it", other.get_absolute_url()),
    )
