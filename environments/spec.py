"""What a workspace runs, as compute keeps it: made anew at every start, without secrets."""

import re
from typing import Any

from environments import addresses
from environments.models import Workspace
from environments.mounts import mounts_of

PARAMETER = re.compile(r"\{parameters\.([A-Za-z0-9_]+)\}")


def _filled(text: str, workspace: Workspace) -> str:
    """`{parameters.x}` replaced by what was chosen, else by the schema's default, else by nothing."""
    known = workspace.version.parameters.get("properties", {})
    values = {name: schema.get("default", "") for name, schema in known.items()} | workspace.parameters
    return PARAMETER.sub(lambda found: as_text(values.get(found[1], "")), text)


def as_text(value: Any) -> str:
    """As a program reads it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def spec_of(workspace: Workspace) -> dict[str, Any]:
    """What compute keeps and renders; the image's digest is filled in when it is known to be on the node."""
    version, prefix = workspace.version, addresses.prefix(workspace.pk)
    from_template = {name: _filled(value, workspace) for name, value in version.environment.items()}
    return {
        "template": version.template_id,
        "version": version.version,
        "image": version.image.digest,
        "image_name": version.image_id,
        "command": [_filled(part, workspace) for part in version.command],
        "environment": workspace.environment | from_template,
        "port": version.port,
        "health_path": version.health_path.replace("{prefix}", prefix),
        "prefix": prefix,
        "activity": {"kind": version.activity, "header": version.door_header},
        "mounts": mounts_of(workspace),
    }
