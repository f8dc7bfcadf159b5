"""How people's own tools find a running workspace: the SSH door's address, in the forms these tools want."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings

from environments.models import Workspace

ENOUGH = 6
"""Characters of an id that tell the workspaces of one name apart."""


@dataclass(frozen=True, slots=True)
class Connection:
    command: str
    config: str
    """An entry for ~/.ssh/config."""
    editor_url: str
    """Opens VS Code on this machine; it needs the entry above."""


def connection_to(workspace: Workspace) -> Connection:
    host, user, alias = urlsplit(settings.PORTAL_URL).hostname, workspace.pk.lower(), _alias(workspace)
    return Connection(
        command=f"ssh -p {settings.SSH_PORT} {user}@{host}",
        config=f"Host {alias}\n    HostName {host}\n    Port {settings.SSH_PORT}\n    User {user}\n",
        editor_url=f"vscode://vscode-remote/ssh-remote+{alias}/home/berth",
    )


def _alias(workspace: Workspace) -> str:
    """Its name and the end of its id, because “a b” and “a-b” may both be there."""
    name = re.sub("[^a-z0-9]+", "-", workspace.name.lower()).strip("-")
    return f"{name or 'workspace'}-{workspace.pk[-ENOUGH:].lower()}.berth"
