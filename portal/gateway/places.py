"""What the settings say about where workspaces are found and where their containers may be."""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from environments import addresses

ID = "[0-7][0-9a-hjkmnp-tv-z]{25}"
_CAPTURE = f"(?<workspace>{ID})"
_LOOPBACK = ipaddress.IPv4Network("127.0.0.0/8")


def secure() -> bool:
    return _pattern().scheme == "https"


def cookie_name() -> str:
    """Browsers hold `__Host-` to this host, Path=/ and TLS; a path of its own only allows `__Secure-`."""
    if not secure():
        return "berth-workspace"
    return "__Secure-berth-workspace" if addresses.path_mode() else "__Host-berth-workspace"


def server_name() -> str:
    """nginx's name of the server for workspaces; in origin mode it finds the workspace."""
    hostname = _pattern().hostname or ""
    if addresses.path_mode():
        return hostname
    before, after = hostname.split("{id}")
    return f"~^{re.escape(before)}{_CAPTURE}{re.escape(after)}$"


def prefix() -> str:
    """Regular expression of the path under which a workspace lies; in path mode it finds the workspace."""
    if not addresses.path_mode():
        return "^/"
    before, after = _pattern().path.split("{id}")
    return f"^{re.escape(before)}{_CAPTURE}{re.escape(after)}"


def inside(workspace: str) -> str:
    """The path under which a workspace's application sees itself; `workspace` is its id, in small letters."""
    return _pattern().path.replace("{id}", workspace)


def networks() -> list[ipaddress.IPv4Network]:
    """Where a container may be; raises ValueError for what is no network."""
    named = [ipaddress.IPv4Network(text.strip()) for text in settings.CONTAINER_NETWORKS.split(",")]
    on_this_machine = settings.RUNTIME in ("local", "fake")
    return [*named, _LOOPBACK] if on_this_machine else named


def is_container(host: str) -> bool:
    try:
        address = ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return any(address in network for network in networks())


def _pattern() -> SplitResult:
    return urlsplit(str(settings.WORKSPACE_URL))
