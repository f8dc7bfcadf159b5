"""Where a workspace is found: an origin of its own by default, a path on a second host otherwise."""

from urllib.parse import urlsplit

from django.conf import settings

from runtimes.base import HOST


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


def service(workspace_id: str) -> str:
    """Where what runs finds it, with a token of its own: at the services door, without a slash at the end."""
    host = HOST if settings.RUNTIME == "docker" else "127.0.0.1"
    return f"http://{host}:{settings.SERVICES_PORT}/w/{workspace_id.lower()}"
