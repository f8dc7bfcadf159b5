"""Writes that change what a workspace runs: its parameters and variables while it is stopped, and a copy of it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.db import transaction

from environments import checks
from environments.actions import create, locked
from environments.configurations import launch_again
from environments.models import Workspace
from portal.audit.actions import record
from portal.lib.errors import Conflict
from portal.live.redis import publish
from portal.usage import projects


@transaction.atomic
def reconfigure(
    workspace: Workspace,
    *,
    parameters: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    project: str | None = None,
    actor: str,
) -> Workspace:
    """Other parameters, variables or project from the next start on; what is None stays.

    Of parameters and variables the names are audited, values are not. Raises Invalid naming the field, Conflict unless
    it is stopped.
    """
    row = locked(workspace)
    if row.allocation is not None and row.allocation.open:
        raise Conflict(f"Stop {row.name} first, then change its settings.", code="not_stopped")
    before = _told(row)
    if parameters is not None:
        row.parameters = checks.parameters(row.version, parameters)
    if env is not None:
        row.environment = checks.environment(env)
    if project is not None:
        row.project = projects.checked(project)
    row.save(update_fields=["parameters", "environment", "project"])
    record(actor, "workspace.reconfigure", row.topic, before=before, after=_told(row))
    publish(row.topic)
    return row


def _told(row: Workspace) -> dict[str, Any]:
    return {"parameters": sorted(row.parameters), "env": sorted(row.environment), "project": row.project}


@transaction.atomic
def duplicate(workspace: Workspace, name: str = "", *, actor: str) -> Workspace:
    """The same again for its owner, with the same home, started. Raises Invalid as a launch does."""
    row = locked(workspace)
    checks.hold_names(row.owner)
    wanted = name if name.strip() else checks.name_near(row.owner, row.name)
    return create(row.owner, replace(launch_again(row), version=row.version.version, name=wanted), actor=actor)
