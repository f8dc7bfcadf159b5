"""Writes to workspaces: create, start, suspend, resume, stop, keep running, restart, rename, resize, delete."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from environments import checks, volumes
from environments.idle import rule_of
from environments.launch import Launch
from environments.models import Volume, Workspace
from environments.mounts import mounts_of
from environments.spec import spec_of
from environments.states import ACTIVE, UP, W, state_of
from portal.accounts.models import User
from portal.audit.actions import record
from portal.compute import actions as compute
from portal.compute.states import Desired, Rank, Reason
from portal.lib import clock
from portal.lib.errors import Conflict, Next
from portal.live.redis import publish


@transaction.atomic
def create(owner: User, launch: Launch, *, actor: str) -> Workspace:
    """Create the workspace asked for and start it. Raises Invalid naming the field of `launch`."""
    columns = checks.columns(owner, launch)
    secrets = checks.secrets(owner, columns["team"], launch.secrets)
    template = columns["version"].template
    checks.hold_names(owner)
    name = checks.name(owner, launch.name) if launch.name.strip() else checks.free_name(owner, template)
    datasets, places = checks.volumes(owner, launch.volumes)
    workspace = Workspace(name=name, owner=owner, home=volumes.home_of(owner), places=places, **columns)
    workspace.save(force_insert=True)
    workspace.datasets.set(datasets)
    workspace.secrets.set(secrets)
    record(
        actor,
        "workspace.create",
        workspace.topic,
        after={"name": workspace.name, "template": template.slug, "size": workspace.size_id}
        | {"secrets": [secret.name for secret in secrets]},
    )
    publish(f"workspaces-{owner.pk}")
    _begin(workspace, actor)
    return workspace


def _begin(workspace: Workspace, actor: str) -> None:
    workspace.allocation = compute.reserve(
        owner_kind="workspace",
        owner_id=workspace.pk,
        user=workspace.owner,
        team=workspace.team,
        size=workspace.size,
        project=workspace.project,
        spec=spec_of(workspace),
        actor=actor,
        rank=Rank.INTERACTIVE,
    )
    workspace.idle_since = workspace.stops_at = workspace.warned_at = workspace.keep_until = None
    workspace.save(update_fields=["allocation", "idle_since", "stops_at", "warned_at", "keep_until"])


def locked(workspace: Workspace) -> Workspace:
    """The row as it is now, held until the transaction ends; deleted ones can no longer be acted on."""
    rows = Workspace.objects.select_for_update(of=("self",)).select_related(
        "owner", "team", "size", "home", "version__image", "version__template", "allocation__node"
    )
    row = rows.get(pk=workspace.pk)
    if row.deleted_at is not None:
        raise Conflict(f"{row.name} was deleted.", code="deleted", next_step=Next("New workspace", "/workspaces/new/"))
    return row


@transaction.atomic
def start(workspace: Workspace, *, actor: str) -> Workspace:
    """Start it again with its files; what is suspended resumes. Starting what starts or runs is no error.

    Raises Conflict while it stops.
    """
    row = locked(workspace)
    state = state_of(row.allocation, deleted=False)
    if state == W.STOPPING:
        raise Conflict(f"{row.name} is still stopping. Start it again in a few seconds.", code="stopping")
    if state == W.SUSPENDED:
        return resume(row, actor=actor)
    if state in (W.STOPPED, W.FAILED):
        _begin(row, actor)
        record(actor, "workspace.start", row.topic)
    return row


@transaction.atomic
def suspend(workspace: Workspace, *, actor: str) -> Workspace:
    """Freeze it where it is, with all that runs in it; its place stays reserved. Suspending it twice is no error.

    Raises Conflict when it does not run, or where it runs nothing can be frozen.
    """
    row = locked(workspace)
    state = state_of(row.allocation, deleted=False)
    if row.allocation is None or row.allocation.node is None or state not in UP:
        raise Conflict(f"{row.name} does not run.", code="not_running")
    if not row.allocation.node.freezes:
        raise Conflict(
            f"On {row.allocation.node} nothing can be suspended. Stop {row.name} instead.", code="cannot_suspend"
        )
    if state == W.RUNNING:
        compute.suspend(row.allocation, actor=actor)
        record(actor, "workspace.suspend", row.topic)
    return row


@transaction.atomic
def resume(workspace: Workspace, *, actor: str) -> Workspace:
    """Let it go on where it was, which counts as use. Resuming what starts or runs is no error.

    Raises Conflict when there is nothing to resume.
    """
    row = locked(workspace)
    if row.allocation is None or state_of(row.allocation, deleted=False) not in ACTIVE - {W.STOPPING}:
        raise Conflict(f"{row.name} is not suspended. Start it instead.", code="not_running")
    if row.allocation.desired == Desired.SUSPEND:
        row.last_activity_at = clock.now()
        row.save(update_fields=["last_activity_at"])
        compute.resume(row.allocation, actor=actor)
        record(actor, "workspace.resume", row.topic)
    return row


@transaction.atomic
def stop(workspace: Workspace, *, actor: str, reason: Reason = Reason.STOPPED, message: str = "") -> Workspace:
    """Stop or cancel it; files stay. `message` is why, where `reason` does not say it. Stopping what is stopped is
    no error.
    """
    row = locked(workspace)
    if row.allocation is not None and row.allocation.open:
        compute.end(row.allocation, actor=actor, reason=reason, message=message)
        record(actor, "workspace.stop", row.topic, after={"reason": reason})
    return row


@transaction.atomic
def extend(workspace: Workspace, until: datetime | None = None, *, actor: str) -> Workspace:
    """Keep it running until then, idle or not; for as long as the idle rule waits anew, if not given.

    Raises Invalid for `until` beyond what its template allows, Conflict when it does not run.
    Where it never stops by itself, there is nothing to do.
    """
    row = locked(workspace)
    rule, now = rule_of(row), clock.now()
    if state_of(row.allocation, deleted=False) not in ACTIVE - {W.STOPPING}:
        raise Conflict(f"{row.name} does not run.", code="not_running")
    if rule.after is None and until is None:
        return row
    before = row.keep_until
    row.keep_until = (
        checks.keep_until(rule, until, now) if until else max(now + (rule.after or rule.most), before or now)
    )
    row.stops_at = max(row.stops_at, row.keep_until) if row.stops_at else None
    row.warned_at = None
    row.save(update_fields=["keep_until", "stops_at", "warned_at"])
    record(actor, "workspace.extend", row.topic, before={"until": before}, after={"until": row.keep_until})
    publish(row.topic, f"workspaces-{row.owner_id}")
    return row


@transaction.atomic
def set_auto_stop(workspace: Workspace, minutes: int | None, *, actor: str) -> Workspace:
    """Stop it after so many idle minutes; None is what its template says. Raises Invalid naming the field."""
    row = locked(workspace)
    before = row.auto_stop_minutes
    row.auto_stop_minutes = checks.auto_stop(row.version.template, minutes)
    row.stops_at = row.warned_at = None  # until it is judged anew, which the next look at it does
    row.save(update_fields=["auto_stop_minutes", "stops_at", "warned_at"])
    after = {"minutes": row.auto_stop_minutes}
    record(actor, "workspace.auto_stop", row.topic, before={"minutes": before}, after=after)
    publish(row.topic)
    return row


@transaction.atomic
def restart(workspace: Workspace, *, actor: str) -> Workspace:
    """A fresh container with the same files; starts it when it is stopped. While it stops: Conflict."""
    row = locked(workspace)
    state = state_of(row.allocation, deleted=False)
    if row.allocation is None or state in (W.STOPPED, W.FAILED, W.STOPPING):
        return start(row, actor=actor)
    spec = row.allocation.spec | {"mounts": mounts_of(row)}
    compute.restart(row.allocation, spec=spec, actor=actor)
    record(actor, "workspace.restart", row.topic)
    return row


@transaction.atomic
def rename(workspace: Workspace, name: str, *, actor: str) -> Workspace:
    row = locked(workspace)
    checks.hold_names(row.owner)
    before, row.name = row.name, checks.name(row.owner, name, but=row.pk)
    row.save(update_fields=["name"])
    record(actor, "workspace.rename", row.topic, before={"name": before}, after={"name": row.name})
    publish(row.topic, f"workspaces-{row.owner_id}")
    return row


@transaction.atomic
def resize(workspace: Workspace, size: str, *, actor: str) -> Workspace:
    """Another size from the next start on. Raises Conflict unless it is stopped."""
    row = locked(workspace)
    if row.allocation is not None and row.allocation.open:
        raise Conflict(f"Stop {row.name} first, then change its size.", code="not_stopped")
    before, row.size = row.size, checks.size(row.version.template, size)
    row.save(update_fields=["size"])
    record(actor, "workspace.resize", row.topic, before={"size": before.slug}, after={"size": row.size_id})
    publish(row.topic)
    return row


@transaction.atomic
def update_version(
    workspace: Workspace, version: str, parameters: Mapping[str, Any] | None = None, *, actor: str
) -> Workspace:
    """Another version of its template from the next start on, with its parameters or the ones given.

    Raises Conflict unless it is stopped, and Invalid naming `version`, or each parameter the version refuses.
    """
    row = locked(workspace)
    if row.allocation is not None and row.allocation.open:
        raise Conflict(f"Stop {row.name} first, then change its version.", code="not_stopped")
    found = checks.version_for(row, version)
    before, row.parameters = row.version, checks.parameters(found, row.parameters if parameters is None else parameters)
    row.version = found
    row.save(update_fields=["version", "parameters"])
    changed = {"before": {"version": before.version}, "after": {"version": found.version}}
    record(actor, "workspace.update_version", row.topic, **changed)
    publish(row.topic)
    return row


@transaction.atomic
def choose_secrets(workspace: Workspace, names: Sequence[str], *, actor: str) -> Workspace:
    """These secrets, and no others, from its next start on. Raises Invalid naming the field."""
    row = locked(workspace)
    before = sorted(row.secrets.values_list("name", flat=True))
    chosen = checks.secrets(row.owner, row.team, names)
    row.secrets.set(chosen)
    after = sorted(secret.name for secret in chosen)
    record(actor, "workspace.choose_secrets", row.topic, before={"secrets": before}, after={"secrets": after})
    publish(row.topic)
    return row


@transaction.atomic
def delete(workspace: Workspace, *, delete_files: bool, actor: str) -> Workspace:
    """Delete it; its record stays. `delete_files` also deletes the owner's home, once nothing uses it.

    Raises Conflict when other workspaces of the owner share that home. Deleting twice is no error.
    """
    if workspace.deleted_at is not None:
        return workspace
    row = locked(workspace)
    if delete_files:
        _delete_home(row)
    if row.allocation is not None and row.allocation.open:
        compute.end(row.allocation, actor=actor)
    row.deleted_at = clock.now()
    row.save(update_fields=["deleted_at"])
    record(actor, "workspace.delete", row.topic, before={"name": row.name}, after={"files_deleted": delete_files})
    publish(row.topic, f"workspaces-{row.owner_id}")
    return row


def _delete_home(row: Workspace) -> None:
    others = Workspace.objects.filter(home=row.home, deleted_at=None).exclude(pk=row.pk)
    names = list(others.values_list("name", flat=True)[:3])
    if names:
        raise Conflict(
            f"Your home is also used by {', '.join(names)}. Delete those first, or keep the files.",
            code="home_in_use",
        )
    Volume.objects.filter(pk=row.home_id).update(delete_requested_at=clock.now())
