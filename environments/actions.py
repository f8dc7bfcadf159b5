"""Writes to workspaces: create, start, stop, restart, rename, resize, delete."""

import json
import re
from typing import Any

import jsonschema
from django.conf import settings
from django.db import transaction

from environments import access, addresses
from environments.models import Template, TemplateVersion, Volume, Workspace
from environments.states import W, state_of
from portal.accounts.access import team_for
from portal.accounts.models import User
from portal.audit.actions import record
from portal.compute import actions as compute
from portal.compute.models import Size
from portal.lib import clock
from portal.lib.errors import Conflict, Invalid, Next
from portal.live.redis import publish

NAME_LENGTH = 60
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
PARAMETER = re.compile(r"\{parameters\.([A-Za-z0-9_]+)\}")
RESERVED_VARIABLES = ("JUPYTER", "BERTH", "LD_", "PATH", "HOME")


@transaction.atomic
def create(
    owner: User,
    *,
    template: str,
    size: str | None = None,
    version: str | None = None,
    team: str | None = None,
    name: str = "",
    parameters: dict[str, Any] | None = None,
    environment: dict[str, str] | None = None,
    actor: str,
) -> Workspace:
    """Create a workspace and start it. `size`, `version` and `team` default to the template's and the owner's.

    Raises Invalid naming the field (`template`, `version`, `size`, `team`, `name`, `parameters`, `env`).
    """
    chosen = _template(owner, template)
    workspace = Workspace(
        owner=owner,
        team=team_for(owner, team),
        version=_version(chosen, version),
        size=_size(chosen, size),
        home=_home_of(owner),
        parameters=parameters or {},
        environment=_checked_environment(environment or {}),
    )
    _check_parameters(workspace)
    workspace.name = _checked_name(owner, name) if name.strip() else _free_name(owner, chosen)
    workspace.save(force_insert=True)
    record(
        actor,
        "workspace.create",
        workspace.topic,
        after={"name": workspace.name, "template": template, "size": workspace.size_id},
    )
    publish(f"workspaces-{owner.pk}")
    _begin(workspace, actor)
    return workspace


def _template(owner: User, slug: str) -> Template:
    template = access.templates_for(owner).filter(slug=slug[:60], kind="workspace").first()
    if template is None:
        raise Invalid.field(
            "template",
            f"There is no template “{slug[:60]}” for your teams.",
            next_step=Next("See the catalog", "/workspaces/new/"),
        )
    return template


def _version(template: Template, version: str | None) -> TemplateVersion:
    found = template.versions.filter(version=version).first() if version else template.versions.first()
    if found is None:
        known = ", ".join(template.versions.values_list("version", flat=True))
        raise Invalid.field("version", f"{template.name} has no version “{str(version)[:40]}”. It has: {known}.")
    return found


def _size(template: Template, slug: str | None) -> Size:
    if slug is None:
        return template.default_size
    size = template.sizes.filter(slug=slug[:40], retired=False).first()
    if size is None:
        allowed = ", ".join(template.sizes.filter(retired=False).values_list("slug", flat=True))
        raise Invalid.field("size", f"{template.name} cannot run as “{slug[:40]}”. Choose one of: {allowed}.")
    return size


def _home_of(owner: User) -> Volume:
    User.objects.select_for_update().get(pk=owner.pk)
    home = Volume.objects.filter(owner=owner, delete_requested_at=None).first()
    if home is None:
        home = Volume(owner=owner)
        home.engine_name = f"berth-{settings.INSTANCE}-home-{home.pk}".lower()
        home.save(force_insert=True)
    return home


def _checked_name(owner: User, name: str, but: str = "") -> str:
    name = " ".join(name.split(" ")).strip()
    if not 1 <= len(name) <= NAME_LENGTH or not name.isprintable():
        raise Invalid.field("name", f"Use 1 to {NAME_LENGTH} printable characters, such as “churn study”.")
    if Workspace.objects.filter(owner=owner, name=name, deleted_at=None).exclude(pk=but).exists():
        raise Invalid.field("name", f"You already have a workspace called “{name}”. Choose another name.")
    return name


def _free_name(owner: User, template: Template) -> str:
    taken = set(Workspace.objects.filter(owner=owner, deleted_at=None).values_list("name", flat=True))
    base = template.name.lower()[: NAME_LENGTH - 6]
    return next(name for n in range(1, len(taken) + 2) if (name := f"{base}-{n}") not in taken)


def _check_parameters(workspace: Workspace) -> None:
    schema = workspace.version.parameters or {"type": "object", "additionalProperties": False}
    for error in jsonschema.Draft202012Validator(schema).iter_errors(workspace.parameters):
        where = ".".join(["parameters", *(str(part) for part in error.path)])
        raise Invalid.field(where, f"{error.message[:200]}.")
    if "{secret}" in json.dumps(workspace.parameters):
        raise Invalid.field("parameters", "Text such as {secret} cannot be used here.")


def _checked_environment(environment: dict[str, str]) -> dict[str, str]:
    for name, value in environment.items():
        if not VARIABLE.fullmatch(name) or name.upper().startswith(RESERVED_VARIABLES):
            raise Invalid.field("env", f"“{name[:60]}” cannot be used as a variable name here.")
        if len(value) > 4096 or "\0" in value or "{secret}" in value:
            raise Invalid.field("env", f"The value of {name} must be text of at most 4,096 characters.")
    if len(environment) > 100:
        raise Invalid.field("env", "At most 100 variables.")
    return environment


def _filled(text: str, workspace: Workspace) -> str:
    """`{parameters.x}` replaced by what was chosen, else by the schema's default, else by nothing."""
    known = workspace.version.parameters.get("properties", {})
    values = {name: schema.get("default", "") for name, schema in known.items()} | workspace.parameters
    return PARAMETER.sub(lambda found: str(values.get(found[1], "")), text)


def _spec(workspace: Workspace) -> dict[str, Any]:
    """What compute keeps and renders; the image's digest is filled in when it is known to be on the node."""
    version, prefix = workspace.version, addresses.prefix(workspace.pk)
    from_template = {name: _filled(value, workspace) for name, value in version.environment.items()}
    return {
        "template": version.template_id,
        "version": version.version,
        "image": version.image.digest,
        "command": [_filled(part, workspace) for part in version.command],
        "environment": workspace.environment | from_template,
        "port": version.port,
        "health_path": version.health_path.replace("{prefix}", prefix),
        "prefix": prefix,
        "mounts": [{"volume": workspace.home.engine_name, "target": "/home/berth", "read_only": False}],
    }


def _begin(workspace: Workspace, actor: str) -> None:
    workspace.allocation = compute.reserve(
        owner_kind="workspace",
        owner_id=workspace.pk,
        user=workspace.owner,
        team=workspace.team,
        size=workspace.size,
        spec=_spec(workspace),
        actor=actor,
    )
    workspace.save(update_fields=["allocation"])


def _locked(workspace: Workspace) -> Workspace:
    """The row as it is now, held until the transaction ends; deleted ones can no longer be acted on."""
    locked = Workspace.objects.select_for_update(of=("self",)).select_related(
        "owner", "team", "size", "home", "version__image", "version__template", "allocation__node"
    )
    row = locked.get(pk=workspace.pk)
    if row.deleted_at is not None:
        raise Conflict(f"{row.name} was deleted.", code="deleted", next_step=Next("New workspace", "/workspaces/new/"))
    return row


@transaction.atomic
def start(workspace: Workspace, *, actor: str) -> Workspace:
    """Start it again with its files. Starting what starts or runs is no error; while it stops: Conflict."""
    row = _locked(workspace)
    state = state_of(row.allocation, deleted=False)
    if state == W.STOPPING:
        raise Conflict(f"{row.name} is still stopping. Start it again in a few seconds.", code="stopping")
    if state in (W.STOPPED, W.FAILED):
        _begin(row, actor)
        record(actor, "workspace.start", row.topic)
    return row


@transaction.atomic
def stop(workspace: Workspace, *, actor: str) -> Workspace:
    """Stop or cancel it; files stay. Stopping what is stopped is no error."""
    row = _locked(workspace)
    if row.allocation is not None and row.allocation.open:
        compute.end(row.allocation, actor=actor)
        record(actor, "workspace.stop", row.topic)
    return row


@transaction.atomic
def restart(workspace: Workspace, *, actor: str) -> Workspace:
    """A fresh container with the same files; starts it when it is stopped. While it stops: Conflict."""
    row = _locked(workspace)
    state = state_of(row.allocation, deleted=False)
    if row.allocation is None or state in (W.STOPPED, W.FAILED, W.STOPPING):
        return start(row, actor=actor)
    compute.restart(row.allocation, actor=actor)
    record(actor, "workspace.restart", row.topic)
    return row


@transaction.atomic
def rename(workspace: Workspace, name: str, *, actor: str) -> Workspace:
    row = _locked(workspace)
    before, row.name = row.name, _checked_name(row.owner, name, but=row.pk)
    row.save(update_fields=["name"])
    record(actor, "workspace.rename", row.topic, before={"name": before}, after={"name": row.name})
    publish(row.topic, f"workspaces-{row.owner_id}")
    return row


@transaction.atomic
def resize(workspace: Workspace, size: str, *, actor: str) -> Workspace:
    """Another size from the next start on. Raises Conflict unless it is stopped."""
    row = _locked(workspace)
    if row.allocation is not None and row.allocation.open:
        raise Conflict(f"Stop {row.name} first, then change its size.", code="not_stopped")
    before, row.size = row.size, _size(row.version.template, size)
    row.save(update_fields=["size"])
    record(actor, "workspace.resize", row.topic, before={"size": before.slug}, after={"size": row.size_id})
    publish(row.topic)
    return row


@transaction.atomic
def delete(workspace: Workspace, *, delete_files: bool, actor: str) -> Workspace:
    """Delete it; its record stays. `delete_files` also deletes the owner's home, once nothing uses it.

    Raises Conflict when other workspaces of the owner share that home. Deleting twice is no error.
    """
    if workspace.deleted_at is not None:
        return workspace
    row = _locked(workspace)
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
