"""Writes to handovers: offer a workspace to a colleague, withdraw the offer, take it over or decline it."""

from django.db import transaction

from environments import access, checks, mails, volumes
from environments.actions import locked
from environments.models import Handover, Schedule, Workspace
from environments.states import Answer
from portal.accounts.models import User
from portal.audit.actions import record
from portal.lib import clock
from portal.lib.errors import Conflict, Invalid
from portal.lib.states import compare_and_swap
from portal.live.redis import publish


@transaction.atomic
def offer(workspace: Workspace, to: str, by: User) -> Handover:
    """Offer it to somebody in its team; an earlier offer is withdrawn. Raises Invalid for `to`, Conflict if it runs."""
    row = _stopped(workspace)
    heir = access.heirs_of(row).filter(username=to[:150]).first()
    if heir is None:
        raise Invalid.field("to", f"Choose somebody else in the team {row.team.name}.")
    withdraw(row, by)
    made = Handover.objects.create(workspace=row, to=heir, offered_by=by)
    record(by.username, "workspace.offer", row.topic, after={"to": heir.username})
    transaction.on_commit(lambda: mails.ring_offer(made.pk))
    _tell(made)
    return made


@transaction.atomic
def withdraw(workspace: Workspace, by: User) -> None:
    """No error when nothing is on offer."""
    for open_one in Handover.objects.filter(workspace=workspace, answered_at=None).select_related("to", "workspace"):
        _close(open_one, Answer.WITHDRAWN, by)


@transaction.atomic
def decline(offered: Handover) -> None:
    _close(offered, Answer.DECLINED, offered.to)


@transaction.atomic
def accept(offered: Handover) -> Workspace:
    """It is theirs, with their home from the next start on, and a free name; team, price and the team's secrets stay.

    Raises Conflict when it runs, when the offer is gone, or when they have left its team.
    """
    row, heir = _stopped(offered.workspace), offered.to
    if not access.heirs_of(row).filter(pk=heir.pk).exists():
        raise Conflict(f"Only members of the team {row.team.name} can take over {row.name}.", code="not_in_team")
    if not _close(offered, Answer.ACCEPTED, heir):
        raise Conflict("This offer was withdrawn.", code="withdrawn")
    before = _whose(row)
    row.owner, row.home = heir, volumes.home_of(heir)
    checks.hold_names(heir)
    row.name = checks.name_near(heir, row.name)
    row.keep_until, row.serves_team = None, ""
    row.save(update_fields=["owner", "home", "name", "keep_until", "serves_team"])
    row.secrets.set(row.secrets.filter(owner=None))
    Schedule.objects.filter(workspace=row).delete()
    record(heir.username, "workspace.hand_over", row.topic, before=before, after=_whose(row))
    publish(row.topic)
    return row


def _stopped(workspace: Workspace) -> Workspace:
    row = locked(workspace)
    if row.allocation is not None and row.allocation.open:
        raise Conflict(f"{row.name} must be stopped first.", code="not_stopped")
    return row


def _close(offered: Handover, answer: Answer, by: User) -> bool:
    changes = {"answer": answer, "answered_at": clock.now()}
    closed = compare_and_swap(Handover.objects.filter(pk=offered.pk), {"answered_at": None}, changes)
    if closed:
        record(by.username, f"workspace.offer_{answer}", offered.workspace.topic, before={"to": offered.to.username})
        _tell(offered)
    return closed


def _whose(row: Workspace) -> dict[str, str]:
    return {"owner": row.owner.username, "name": row.name}


def _tell(offered: Handover) -> None:
    publish(offered.workspace.topic, f"workspaces-{offered.to_id}", f"workspaces-{offered.workspace.owner_id}")
