"""Who may pass the door of a workspace: one rule for requests and for connections that are already open."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from environments import addresses
from environments.models import Workspace
from portal.accounts.access import user_by_token
from portal.accounts.models import ApiToken, Membership
from portal.accounts.states import allows
from portal.compute.specs import secret_of
from portal.compute.states import Desired, Phase
from portal.gateway.models import WorkspaceSession
from portal.lib import clock
from portal.lib.crypto import digest

Why = Literal["signed-out", "ended", "forbidden", "not-running"]

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


@dataclass(frozen=True, slots=True)
class Passed:
    """Where the request may go, with what; `key` names the right it used, for as long as a connection lasts."""

    workspace: Workspace
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
    workspace, key = _by_token(asked) if asked.token else _by_session(asked)
    return _passed(workspace, key)


def _same_origin(asked: Asked) -> bool:
    """Sibling workspaces are the same site to a browser, so its cookie rules do not hold them apart: Origin does."""
    if asked.origin:
        return asked.origin == addresses.origin(asked.workspace) or not (asked.upgrade or asked.unsafe)
    return bool(asked.token) or not asked.upgrade


def workspaces_in_use() -> QuerySet[Workspace]:
    """Those whose owner may still use them: the counterpart in SQL of environments.access.right_on."""
    member = Membership.objects.filter(user=OuterRef("owner"), team=OuterRef("team"))
    return Workspace.objects.filter(Exists(member), deleted_at=None, owner__is_active=True)


def sessions_in_force() -> QuerySet[WorkspaceSession]:
    now = clock.now()
    member = Membership.objects.filter(user=OuterRef("user"), team=OuterRef("workspace__team"))
    return WorkspaceSession.objects.filter(
        Exists(member),
        Q(portal_session=None) | Q(portal_session__expire_date__gt=now),
        Q(token=None) | Q(token__revoked_at=None, token__expires_at__gt=now),
        expires_at__gt=now,
        user__is_active=True,
        user=F("workspace__owner"),
        allocation=F("workspace__allocation"),
        workspace__deleted_at=None,
    )


def _running(workspace: str = "") -> Q:
    """`runs` in SQL; `workspace` is the path to it, ending in two underscores."""
    wanted = {"desired": Desired.RUN, "phase__in": REACHABLE, "address__gt": ""}
    return Q(**{f"{workspace}allocation__{name}": value for name, value in wanted.items()})


def _by_session(asked: Asked) -> tuple[Workspace, str]:
    found = (
        sessions_in_force()
        .filter(digest=digest(asked.session), workspace=asked.workspace.upper(), host=asked.host)
        .select_related("workspace__allocation", "workspace__version")
        .first()
    )
    if found is None:
        raise Refused("ended")
    return found.workspace, f"session:{found.pk}"


def _by_token(asked: Asked) -> tuple[Workspace, str]:
    token = user_by_token(asked.token)
    if token is None or not allows(token.scopes, "workspaces", write=True):
        raise Refused("forbidden")
    mine = workspaces_in_use().filter(pk=asked.workspace.upper(), owner=token.user_id)
    workspace = mine.select_related("allocation", "version").first()
    if workspace is None:
        raise Refused("forbidden")
    return workspace, f"token:{token.pk}:{workspace.allocation_id}"


def runs(workspace: Workspace) -> bool:
    """Its container can be reached, and nobody asked it to stop."""
    held = workspace.allocation
    return held is not None and held.desired == Desired.RUN and held.phase in REACHABLE and bool(held.address)


def _passed(workspace: Workspace, key: str) -> Passed:
    if workspace.allocation is None or not runs(workspace):
        raise Refused("not-running")
    secret = secret_of(workspace.allocation)
    name, _, value = workspace.version.door_header.partition(":")
    authorization = value.strip().replace("{secret}", secret) if name.strip().lower() == "authorization" else ""
    return Passed(workspace, workspace.allocation.address, secret, authorization, key)


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
    now = clock.now()
    tokens = ApiToken.objects.filter(pk__in=[part[1] for part in parts], revoked_at=None, expires_at__gt=now)
    owners = dict(tokens.values_list("pk", "user_id"))
    running = workspaces_in_use().filter(_running(), allocation__in=allocations)
    owned = set(running.values_list("allocation_id", "owner_id"))
    return {f"token:{token}:{held}" for _, token, held in parts if (held, owners.get(token)) in owned}
