"""Refuses addresses under which a workspace would share an origin with the portal, or with nothing at all."""

from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.core.checks import Error, register

from portal.gateway import places

DEFAULT_PORTS = {"http": 80, "https": 443}


@register
def addresses_are_apart(**_: Any) -> list[Error]:
    return [Error(sentence, id="gateway.E001") for sentence in _problems()]


def _problems() -> list[str]:
    return [*_url_problems(), *_network_problems(), *_port_problems()]


def _url_problems() -> list[str]:
    workspace, portal = urlsplit(settings.WORKSPACE_URL), urlsplit(settings.PORTAL_URL)
    problems = [
        f"BERTH_WORKSPACE_URL is {settings.WORKSPACE_URL}: {sentence}"
        for holds, sentence in _rules(workspace, portal)
        if not holds
    ]
    return problems[:1]


def _rules(workspace: SplitResult, portal: SplitResult) -> list[tuple[bool, str]]:
    in_path = "{id}" in workspace.path
    return [
        (workspace.scheme in DEFAULT_PORTS, "it must begin with http:// or https://."),
        (settings.WORKSPACE_URL.count("{id}") == 1, "it must hold {id} once, in the host's name or in the path."),
        (not (workspace.query or workspace.fragment or "@" in workspace.netloc), "it must be a host and a path only."),
        (workspace.netloc == workspace.netloc.lower(), "write it in small letters."),
        (
            workspace.path.endswith("/{id}/") if in_path else workspace.path == "/",
            "it must end with a slash, after {id}.",
        ),
        (
            workspace.port is None or workspace.port != DEFAULT_PORTS.get(workspace.scheme),
            "leave the port out where it is the usual one; browsers do.",
        ),
        (
            workspace.hostname != portal.hostname,
            f"workspaces would share the host {portal.hostname} with the portal, and so its cookies; "
            "give them a host of their own.",
        ),
    ]


def _network_problems() -> list[str]:
    try:
        places.networks()
    except ValueError as error:
        return [f"BERTH_CONTAINER_NETWORKS must name networks such as 10.201.0.0/16: {error}."]
    return []


def _port_problems() -> list[str]:
    if settings.SERVICES_PORT != settings.GATEWAY_PORT:
        return []
    return ["BERTH_SERVICES_PORT must be another port than BERTH_PORT: browsers come to that one, containers to this."]
