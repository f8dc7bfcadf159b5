"""Where a workspace is found: an origin of its own by default, a path on a second host otherwise."""

from urllib.parse import urlsplit

from django.conf import settings


def url(workspace_id: str) -> str:
    """With the slash at its end."""
    return str(settings.WORKSPACE_URL).replace("{id}", workspace_id.lower())


def prefix(workspace_id: str) -> str:
    """The path under which the application sees itself: `/`, or `/w/<id>/` in path mode."""
    return urlsplit(url(workspace_id)).path or "/"


def host(workspace_id: str) -> str:
    """Host and port, as browsers send it."""
    return urlsplit(url(workspace_id)).netloc


def origin(workspace_id: str) -> str:
    parts = urlsplit(url(workspace_id))
    return f"{parts.scheme}://{parts.netloc}"


def path_mode() -> bool:
    return "{id}" in urlsplit(settings.WORKSPACE_URL).path
