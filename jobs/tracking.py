"""The team's tracking server as jobs have it: which one an attempt gets, and the address and token it finds."""

import hmac
import json
import re
import shlex
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.urls import reverse

from environments import access, addresses
from environments.access import Right
from environments.cards import Action, Row
from environments.models import Workspace
from environments.states import Serves, W, state_of
from jobs.models import Attempt
from portal.accounts.access import teams_of
from portal.accounts.models import Secret, Team, User
from portal.compute.models import Allocation
from portal.lib.crypto import derive

ADDRESS, TOKEN, TAGS = "MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_TOKEN", "MLFLOW_RUN_CONTEXT"
"""What MLflow's client reads: where to log to, what to show there, and tags that each run gets."""
TAG = "berth_job"
_FORM = re.compile(r"berth_job_([0-9a-z]{26})_[0-9a-f]{64}")


def settle(allocation: Allocation) -> None:
    """As its container is about to be made: it gets its team's server if that runs, or it is noted why not.

    A job that brings an address of its own keeps that.
    """
    server = _server_of(allocation.team)
    if server is None or _brings_its_own(allocation):
        given: dict[str, Any] = {"tracking": None, "tracking_note": ""}
    elif (state := state_of(server.allocation, deleted=False)) == W.RUNNING:
        given = {"tracking": server, "tracking_note": ""}
    else:
        given = {"tracking": None, "tracking_note": f"{server.name} was {state.label.lower()} when it began."}
    Attempt.objects.filter(allocation=allocation).update(**given)


def _brings_its_own(allocation: Allocation) -> bool:
    secrets = Secret.objects.filter(jobs=allocation.owner_id, name=ADDRESS, variable=True)
    return ADDRESS in allocation.spec["environment"] or secrets.exists()


def token_of(allocation: Allocation) -> str:
    """What opens the services door for this container until it has ended; derived, so kept nowhere."""
    secret = derive(settings.SECRET_KEY, "tracking", allocation.pk, str(allocation.generation))
    return f"{TAG}_{allocation.pk.lower()}_{secret}"


def named_by(token: str) -> str:
    """The id of the allocation whose token it says it is; empty if it has no such form."""
    found = _FORM.fullmatch(token)
    return found[1].upper() if found else ""


def is_of(token: str, allocation: Allocation) -> bool:
    return hmac.compare_digest(token, token_of(allocation))


def variables(allocation: Allocation) -> bytes:
    """Lines of the script that sets variables; none where it got no server."""
    attempt = Attempt.objects.filter(allocation=allocation).select_related("job__owner", "tracking").first()
    if attempt is None or attempt.tracking is None:
        return b""
    values = {ADDRESS: addresses.service(attempt.tracking.pk), TOKEN: token_of(allocation)}
    if TAGS not in allocation.spec["environment"]:
        values[TAGS] = json.dumps({TAG: attempt.job_id, "mlflow.user": attempt.job.owner.username})
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items()).encode()


def sentence(server: Workspace) -> str:
    """Which it is and whether it runs."""
    state = state_of(server.allocation, deleted=server.deleted_at is not None)
    return f"{server.name} of {server.owner.get_full_name()}: {state.label.lower()}"


def offered(team: Team | None) -> str:
    """The same of what jobs of the team that begin now would log to; empty where there is none."""
    server = _server_of(team) if team else None
    return sentence(server) if server else ""


def facts(attempts: Sequence[Attempt]) -> list[Row]:
    """What a job's page says of it: of the latest attempt, which is the first."""
    if not attempts:
        return []
    latest = attempts[0]
    if latest.tracking is not None:
        return [Row("MLflow", f"{sentence(latest.tracking)}; its runs have the tag {TAG}")]
    return [Row("MLflow", f"none: {latest.tracking_note}")] if latest.tracking_note else []


def way_in(user: User, attempt: Attempt) -> Action | None:
    """To the pages of the server, for those who may come there."""
    server = attempt.tracking
    return _entry("Open MLflow", server) if server and _open_to(user, server) else None


def ways_in(user: User) -> list[Action]:
    """To the pages of the servers of all their teams, where they run."""
    servers = access.serving(teams_of(user), Serves.MLFLOW)
    return [_entry(f"MLflow of {server.team.name}", server) for server in servers if _open_to(user, server)]


def _server_of(team: Team) -> Workspace | None:
    return access.serving([team], Serves.MLFLOW).first() if settings.SERVICES_PORT else None


def _open_to(user: User, server: Workspace) -> bool:
    runs = state_of(server.allocation, server.deleted_at is not None) == W.RUNNING
    return runs and Right.VISIT in access.rights_on(user, server)


def _entry(label: str, server: Workspace) -> Action:
    return Action(label, reverse("workspace-open", args=[server.pk]), new_tab=True)
