"""Who may pass the door of a workspace: one rule for requests and for connections that are already open."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from environments import addresses
from environments.access import shares_in_force
from environments.models import Workspace
from environments.states import ShareRight
from portal.accounts.models import ApiToken, Membership
from portal.compute.models import Allocation
from portal.compute.specs import secret_of
from portal.compute.states import ActivityKind, Desired, Phase
from portal.gateway.models import WorkspaceSession
from portal.gateway.prepared import Prepared
from portal.lib import clock
from portal.lib.crypto import digest

Why = Literal["signed-out", "ended", "forbidden", "suspended", "not-running"]

REACHABLE = (Phase.STARTING, Phase.RUNNING)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request at the door, as nginx describes it; `workspace` comes from the host, or the first part of the path."""

    workspace: str
    host: str
    origin: str = ""
    upgrade: bool = False
    unsafe: bool = False
    session: str = ""
    token: str = ""
    visit: bool = False
    poll: bool = False


@dataclass(frozen=True, slots=True)
class Passed:
    """Where the request may go, with what; `key` names the right it used, for as long as a connection lasts."""

    workspace: str
    last_activity_at: datetime | None
    counts: bool
    upstream: str
    secret: str
    authorization: str
    key: str


class Refused(Exception):
    def __init__(self, why: Why) -> None:
        super().__init__(why)
        self.why = why


def judge(asked: Asked) -> Passed:
    """Raises Refused unless access is proven."""
    if asked.host != addresses.host(asked.workspace) or not _same_origin(asked):
        raise Refused("forbidden")
    if not (asked.session or asked.token):
        raise Refused("signed-out")
    found = _by_token(asked) if asked.token else _by_session(asked)
    return passed(found, counts=_counts(asked, found.activity))


def _counts(asked: Asked, kind: str) -> bool:
    """Whether the request is use of the workspace, or may come from a page that is merely open.

    Pages of notebooks and IDEs ask on their own what is new; RStudio's does so with POST. What goes through an
    open WebSocket is measured by the relay.
    """
    if asked.upgrade or asked.poll:
        return False
    return asked.unsafe or asked.visit or kind == ActivityKind.WEB


def _same_origin(asked: Asked) -> bool:
    """Sibling workspaces are the same site to a browser, so its cookie rules do not hold them apart: Origin does."""
    if asked.origin:
        return asked.origin == addresses.origin(asked.workspace) or not (asked.upgrade or asked.unsafe)
    return bool(asked.token) or not asked.upgrade


def workspaces_in_use() -> QuerySet[Workspace]:
    """Those whose owner may still use them: what a token opens at the door."""
    member = Membership.objects.filter(user=OuterRef("owner"), team=OuterRef("team"))
    return Workspace.objects.filter(Exists(member), deleted_at=None, owner__is_active=True)


def sessions_in_force() -> QuerySet[WorkspaceSession]:
    """Of the workspace's present run, its owner's, of whom it is shared with or of the team that it serves, with all
    that opened them still there.

    The counterpart in SQL of Right.VISIT in environments.access.rights_on.
    """
    now = clock.now()
    member = Membership.objects.filter(user=OuterRef("user"), team=OuterRef("workspace__team"))
    shared = shares_in_force(OuterRef("user")).filter(workspace=OuterRef("workspace"), right=ShareRight.USE)
    return WorkspaceSession.objects.filter(
        Q(Exists(member), user=F("workspace__owner")) | Q(Exists(shared)) | _served(member),
        Q(portal_session=None) | Q(portal_session__expire_date__gt=now),
        Q(token=None) | Q(token__revoked_at=None, token__expires_at__gt=now),
        expires_at__gt=now,
        user__is_active=True,
        allocation=F("workspace__allocation"),
        workspace__deleted_at=None,
    )


def _served(member: QuerySet[Membership]) -> Q:
    owner_belongs = Membership.objects.filter(user=OuterRef("workspace__owner"), team=OuterRef("workspace__team"))
    return Q(Exists(member), Exists(owner_belongs), workspace__serves_team__gt="", workspace__owner__is_active=True)


class Found(NamedTuple):
    """One row behind a way in: the right, what it leads to, and how far that is."""

    right: str
    workspace: str
    last_activity_at: datetime | None
    door_header: str
    activity: str
    allocation: str
    generation: int
    phase: str
    desired: str
    address: str


def columns(workspace: str = "") -> list[str]:
    """Those of Found that follow the workspace's id, of the workspace at that path."""
    names = ["last_activity_at", "version__door_header", "version__activity", "allocation_id"]
    names += [f"allocation__{name}" for name in ("generation", "phase", "desired", "address")]
    return [workspace + name for name in names]


def _session_query(digest: str, workspace: str, host: str) -> QuerySet[WorkspaceSession, Any]:
    rows = sessions_in_force().filter(digest=digest, workspace=workspace, host=host)
    return rows.values_list("pk", "workspace_id", *columns("workspace__"))


def _token_query(digest: str, workspace: str) -> QuerySet[Workspace, Any]:
    rows = workspaces_in_use().filter(
        pk=workspace,
        allocation__isnull=False,
        owner__tokens__digest=digest,
        owner__tokens__revoked_at=None,
        owner__tokens__expires_at__gt=clock.now(),
        owner__tokens__scopes__contains=["workspaces:write"],
    )
    return rows.values_list("owner__tokens__pk", "pk", *columns())


_session = Prepared("berth_door_session", _session_query, ("digest", "workspace", "host"))
_token = Prepared("berth_door_token", _token_query, ("digest", "workspace"))


def _by_session(asked: Asked) -> Found:
    row = _session.first(digest=digest(asked.session), workspace=asked.workspace.upper(), host=asked.host)
    if row is None:
        raise Refused("ended")
    return Found(f"session:{row[0]}", *row[1:])


def _by_token(asked: Asked) -> Found:
    row = _token.first(digest=digest(asked.token), workspace=asked.workspace.upper())
    if row is None:
        raise Refused("forbidden")
    return Found(f"token:{row[0]}:{row[5]}", *row[1:])


def passed(found: Found, *, counts: bool) -> Passed:
    """The way to it. Raises Refused where it cannot be reached now."""
    if found.desired == Desired.SUSPEND:
        raise Refused("suspended")
    if found.desired != Desired.RUN or found.phase not in REACHABLE or not found.address:
        raise Refused("not-running")
    secret = secret_of(Allocation(pk=found.allocation, generation=found.generation))
    name, _, value = found.door_header.partition(":")
    authorization = value.strip().replace("{secret}", secret) if name.strip().lower() == "authorization" else ""
    return Passed(
        workspace=found.workspace,
        last_activity_at=found.last_activity_at,
        counts=counts,
        upstream=found.address,
        secret=secret,
        authorization=authorization,
        key=found.right,
    )


def runs(workspace: Workspace) -> bool:
    """Its container can be reached, and nobody asked it to stop."""
    held = workspace.allocation
    return held is not None and held.desired == Desired.RUN and held.phase in REACHABLE and bool(held.address)


def _running(workspace: str = "") -> Q:
    """`runs` in SQL; `workspace` is the path to it, ending in two underscores."""
    wanted = {"desired": Desired.RUN, "phase__in": REACHABLE, "address__gt": ""}
    return Q(**{f"{workspace}allocation__{name}": value for name, value in wanted.items()})


def still_valid(keys: Iterable[str]) -> set[str]:
    """Of the keys of open connections, those that would be let in again now."""
    asked = set(keys)
    sessions = [key.removeprefix("session:") for key in asked if key.startswith("session:")]
    valid = sessions_in_force().filter(_running("workspace__"), pk__in=sessions).values_list("pk", flat=True)
    return {f"session:{pk}" for pk in valid} | _valid_tokens({key for key in asked if key.startswith("token:")})


def _valid_tokens(keys: set[str]) -> set[str]:
    if not keys:
        return set()
    parts = [key.split(":") for key in keys]
    allocations = [part[2] for part in parts]
    tokens = ApiToken.objects.filter(pk__in=[part[1] for part in parts], revoked_at=None, expires_at__gt=clock.now())
    owners = dict(tokens.values_list("pk", "user_id"))
    running = workspaces_in_use().filter(_running(), allocation__in=allocations)
    owned = set(running.values_list("allocation_id", "owner_id"))
    return {f"token:{token}:{held}" for _, token, held in parts if (held, owners.get(token)) in owned}
