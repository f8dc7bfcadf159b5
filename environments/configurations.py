"""Writes to saved configurations, and the Launch in them and in workspaces that are there already."""

from dataclasses import asdict, fields, replace
from typing import Any

from django.db import transaction

from environments import access, checks
from environments.launch import Launch
from environments.models import Configuration, Template, Workspace
from environments.mounts import readable
from portal.accounts.models import User
from portal.audit.actions import record
from portal.lib import clock
from portal.lib.errors import Invalid
from portal.live.redis import publish

NAME_LENGTH = 60
MOST = 100
_KNOWN = {field.name for field in fields(Launch)}


def launch_of(configuration: Configuration) -> Launch:
    """What was saved; what this version of Berth does not know is left out."""
    known = {name: value for name, value in configuration.launch.items() if name in _KNOWN}
    return Launch(**known | {"template": configuration.template_id})


def launch_again(workspace: Workspace) -> Launch:
    """All that a workspace was launched with, in the newest version and under a new name."""
    return Launch(
        template=workspace.version.template_id,
        size=workspace.size_id,
        team=workspace.team.slug,
        project=workspace.project,
        parameters=workspace.parameters,
        env=workspace.environment,
        git_url=workspace.git_url,
        git_ref=workspace.git_ref,
        volumes=[
            *(one.name for one in access.datasets_for(workspace.owner).filter(workspaces=workspace)),
            *(place.key for place in readable(workspace.owner, workspace.places)),
        ],
        secrets=list(workspace.secrets.values_list("name", flat=True)),
        auto_stop_minutes=workspace.auto_stop_minutes,
    )


def preferred(user: User, template: Template) -> Launch:
    """What the launch page begins with: the person's default, else the template's."""
    found = Configuration.objects.filter(owner=user, template=template, preferred=True).first()
    return launch_of(found) if found else Launch(template=template.slug)


@transaction.atomic
def save(owner: User, name: str, launch: Launch, *, actor: str) -> Configuration:
    """Keep it under a name; one of that name is replaced. Raises Invalid naming the field."""
    wanted = _name(name)
    _hold(owner)
    row = Configuration.objects.filter(owner=owner, name=wanted).first() or Configuration(owner=owner, name=wanted)
    if row.template_id != launch.template:
        row.preferred = False
    return _keep(row, launch, actor)


@transaction.atomic
def prefer(owner: User, launch: Launch, *, actor: str) -> Configuration:
    """Make it what the template's launch page begins with for this person."""
    template = checks.template(owner, launch.template)
    _hold(owner)
    row = Configuration.objects.filter(owner=owner, template=template, preferred=True).first()
    name = _free_name(owner, f"My {template.name}"[: NAME_LENGTH - 4])
    return _keep(row or Configuration(owner=owner, name=name, preferred=True), launch, actor)


def _keep(row: Configuration, launch: Launch, actor: str) -> Configuration:
    checks.columns(row.owner, launch)
    checks.volumes(row.owner, launch.volumes)
    if row._state.adding and Configuration.objects.filter(owner=row.owner).count() >= MOST:
        raise Invalid.field("configuration", f"You have {MOST} configurations. Delete one first.")
    row.template_id = launch.template
    row.launch, row.used_at = _as_json(launch), clock.now()
    row.save()
    after = {"name": row.name, "template": launch.template, "preferred": row.preferred}
    record(actor, "configuration.save", f"configuration-{row.pk}", after=after)
    publish(f"workspaces-{row.owner_id}")
    return row


def _free_name(owner: User, base: str) -> str:
    taken = set(Configuration.objects.filter(owner=owner).values_list("name", flat=True))
    names = (f"{base} {n}" if n > 1 else base for n in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)


def _as_json(launch: Launch) -> dict[str, Any]:
    """A workspace's own name is not kept: each launch gets another."""
    plain = replace(launch, name="", parameters=dict(launch.parameters), env=dict(launch.env))
    return asdict(replace(plain, volumes=list(launch.volumes), secrets=list(launch.secrets)))


def _hold(owner: User) -> None:
    """Two saves of one person come one after the other."""
    User.objects.select_for_update().get(pk=owner.pk)


@transaction.atomic
def rename(configuration: Configuration, name: str, *, actor: str) -> Configuration:
    wanted, before = _name(name), configuration.name
    _hold(configuration.owner)
    if Configuration.objects.filter(owner=configuration.owner, name=wanted).exclude(pk=configuration.pk).exists():
        raise Invalid.field("name", f"You already have a configuration called “{wanted}”.")
    configuration.name = wanted
    configuration.save(update_fields=["name"])
    target = f"configuration-{configuration.pk}"
    record(actor, "configuration.rename", target, before={"name": before}, after={"name": wanted})
    return configuration


@transaction.atomic
def delete(configuration: Configuration, *, actor: str) -> None:
    """What was launched from it stays as it is."""
    record(actor, "configuration.delete", f"configuration-{configuration.pk}", before={"name": configuration.name})
    configuration.delete()


def used(configuration: Configuration) -> None:
    """It comes first among the person's own."""
    Configuration.objects.filter(pk=configuration.pk).update(used_at=clock.now())


def _name(wanted: str) -> str:
    wanted = wanted.strip()
    if not 1 <= len(wanted) <= NAME_LENGTH or not wanted.isprintable():
        raise Invalid.field("configuration", f"Use 1 to {NAME_LENGTH} printable characters, such as “churn, large”.")
    return wanted
