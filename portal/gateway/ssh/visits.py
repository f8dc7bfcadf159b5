"""Who is at the door and where they may go: a key names the person, the SSH user name names the workspace."""

from dataclasses import dataclass

from environments import access as workspaces
from environments.access import Right, rights_on
from environments.models import Workspace
from environments.states import state_of
from portal.accounts import keys
from portal.accounts.models import PublicKey
from portal.audit.actions import record
from portal.compute.models import Allocation
from portal.compute.states import Phase
from portal.gateway import access
from portal.gateway.actions import note_activity
from portal.lib import ids
from portal.lib.errors import Conflict, NotFound


@dataclass(frozen=True, slots=True)
class Visit:
    """A right that holds for one run of one workspace, by one key."""

    key: PublicKey
    workspace: Workspace
    allocation: Allocation


def admit(key: PublicKey, name: str) -> Visit:
    """Raises NotFound for what the person may not know or use, Conflict when it does not run, with what to do."""
    workspace = _named(key, name)
    allocation = workspace.allocation
    if allocation is None or allocation.phase != Phase.RUNNING or not access.runs(workspace):
        state = state_of(allocation, workspace.deleted_at is not None)
        raise Conflict(f"{workspace.name} is not running but {state}.", code="not_running")
    record(key.user.username, "workspace.ssh", workspace.topic, after={"key": key.fingerprint})
    keys.note_use(key)
    note_activity(workspace.pk, workspace.last_activity_at)
    return Visit(key, workspace, allocation)


def _named(key: PublicKey, name: str) -> Workspace:
    """By id in any case, or by its name where that can be an SSH user name."""
    known = workspaces.visible_to(key.user).filter(deleted_at=None)
    by_id = ids.PATTERN.fullmatch(name.upper())
    found = known.filter(pk=name.upper()).first() if by_id else known.filter(owner=key.user, name=name).first()
    if found is None or Right.ENTER not in rights_on(key.user, found):
        raise NotFound(f"You have no workspace “{name[:60]}” to use. Its page says how to connect.")
    return found


def still_holds(visit: Visit) -> bool:
    """Whether the same would be let in again now."""
    key = keys.by_fingerprint(visit.key.fingerprint)
    workspace = Workspace.objects.select_related("owner", "team", "allocation").get(pk=visit.workspace.pk)
    same = workspace.allocation_id == visit.allocation.pk and workspace.deleted_at is None
    return key == visit.key and same and access.runs(workspace) and Right.ENTER in rights_on(visit.key.user, workspace)
