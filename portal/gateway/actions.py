"""Opens workspaces: makes entry tickets, exchanges them for sessions, and clears away what has ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from environments import addresses
from environments.access import Right, rights_on
from environments.actions import resume
from environments.models import Workspace
from portal.accounts.models import ApiToken, User
from portal.audit.actions import record
from portal.compute.states import ActivityKind, Desired, Phase
from portal.gateway import access
from portal.gateway.models import EntryTicket, WorkspaceSession
from portal.lib import clock
from portal.lib.crypto import digest, new_secret
from portal.lib.errors import Conflict, Forbidden, Next

TICKET_LIFETIME = timedelta(seconds=60)
SESSION_LIFETIME = timedelta(days=7)
TICKET_KEPT = timedelta(days=1)
"""So that a ticket that comes again later is still known, and its coming is recorded."""
ACTIVITY_STEP = timedelta(seconds=15)
"""Use is written down no more often than this."""
TALK_BYTES = 512
"""What a browser sends through WebSockets within a minute when somebody types or clicks; one that is merely open
answers a ping now and then."""


@dataclass(frozen=True, slots=True)
class Entry:
    """`url` works once, until `expires_at`."""

    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class NewSession:
    """`secret` goes into the browser's cookie and is kept nowhere."""

    session: WorkspaceSession
    secret: str


@transaction.atomic
def open_workspace(
    workspace: Workspace, user: User, portal_session_key: str | None = None, *, token: ApiToken | None = None
) -> Entry:
    """A one-time link into `workspace` for who may go in; what it opens ends with the sign-in or token behind it.
    A suspended one resumes: whoever comes with the link waits at most for that.

    Raises Forbidden for others, Conflict when it does not run.
    """
    if Right.VISIT not in rights_on(user, workspace):
        raise Forbidden(f"{workspace.name} belongs to {workspace.owner.get_full_name()}.")
    if workspace.allocation is not None and workspace.allocation.desired == Desired.SUSPEND:
        workspace = resume(workspace, actor=user.username)
    if workspace.deleted_at is not None or not access.runs(workspace):
        raise Conflict(
            f"{workspace.name} does not run.",
            code="not_running",
            next_step=Next("See its state", f"/workspaces/{workspace.pk}/"),
        )
    secret = new_secret()
    ticket = EntryTicket.objects.create(
        digest=digest(secret),
        user=user,
        workspace=workspace,
        portal_session_id=portal_session_key,
        token=token,
        host=addresses.host(workspace.pk),
        expires_at=clock.now() + TICKET_LIFETIME,
    )
    record(user.username, "workspace.open", workspace.topic)
    return Entry(f"{addresses.url(workspace.pk)}.berth/enter?ticket={secret}", ticket.expires_at)


def enter(secret: str, workspace_id: str, host: str) -> NewSession:
    """Exchange a ticket for a session, on the host and for the workspace it was made for, once.

    Raises Forbidden otherwise, with an audit event where the ticket is known.
    """
    with transaction.atomic():
        outcome = _use(secret, workspace_id, host) or _begin(secret)
    if isinstance(outcome, NewSession):
        return outcome
    _record_refusal(secret, outcome, host)
    raise Forbidden("This link into a workspace is used up or does not belong here. Open the workspace again.")


def _use(secret: str, workspace_id: str, host: str) -> str:
    """Mark the ticket used; says why not, or nothing."""
    ticket = EntryTicket.objects.filter(digest=digest(secret))
    here = ticket.filter(workspace_id=workspace_id.upper(), host=host)
    if here.filter(used_at=None, expires_at__gt=clock.now()).update(used_at=clock.now()):
        return ""
    if not here.exists():
        return "other place" if ticket.exists() else "unknown"
    return "used before" if here.exclude(used_at=None).exists() else "expired"


def _begin(secret: str) -> NewSession | str:
    """A session for a ticket just used, if its holder still may; says why not otherwise."""
    ticket = EntryTicket.objects.select_related("workspace__allocation", "user").get(digest=digest(secret))
    workspace = ticket.workspace
    if workspace.allocation is None or not access.runs(workspace):
        return "not running"
    new = new_secret()
    session = WorkspaceSession.objects.create(
        digest=digest(new),
        user=ticket.user,
        workspace=workspace,
        allocation=workspace.allocation,
        portal_session_id=ticket.portal_session_id,
        token_id=ticket.token_id,
        host=ticket.host,
        expires_at=clock.now() + SESSION_LIFETIME,
    )
    if not access.sessions_in_force().filter(pk=session.pk).exists():
        session.delete()
        return "right lost"
    record(ticket.user.username, "workspace.enter", workspace.topic)
    return NewSession(session, new)


def _record_refusal(secret: str, reason: str, host: str) -> None:
    ticket = EntryTicket.objects.filter(digest=digest(secret)).select_related("user", "workspace").first()
    if ticket is not None:
        after = {"reason": reason, "host": host[:255]}
        record(ticket.user.username, "workspace.enter_refused", ticket.workspace.topic, after=after)


def note_activity(workspace_id: str, last: datetime | None) -> None:
    """Remember that it is used, to an ACTIVITY_STEP."""
    now = clock.now()
    if last is not None and now - last < ACTIVITY_STEP:
        return
    stale = Q(last_activity_at=None) | Q(last_activity_at__lt=now - ACTIVITY_STEP)
    Workspace.objects.filter(stale, pk=workspace_id).update(last_activity_at=now)


def note_talk(sent: Mapping[str, int]) -> None:
    """Remember who used their workspace through an open WebSocket: bytes that were sent in a minute, by right.

    A window of VS Code sends kilobytes a minute untouched; it says by itself when somebody works in it.
    """
    loud = {key.partition(":")[2].rpartition(":")[2] for key, count in sent.items() if count >= TALK_BYTES}
    if not loud:
        return
    sessions = WorkspaceSession.objects.filter(pk__in=loud).values("allocation")
    used = Workspace.objects.filter(Q(allocation__in=sessions) | Q(allocation__in=loud))
    used.exclude(version__activity=ActivityKind.CODE_SERVER).update(last_activity_at=clock.now())


def sweep() -> None:
    """Delete sessions and tickets that can open nothing any more."""
    kept = access.sessions_in_force().exclude(allocation__phase=Phase.ENDED)
    WorkspaceSession.objects.exclude(pk__in=kept.values("pk")).delete()
    old = Q(expires_at__lt=clock.now() - TICKET_KEPT)
    stopped = Q(workspace__allocation__phase=Phase.ENDED, used_at=None)
    EntryTicket.objects.filter(old | stopped).delete()
