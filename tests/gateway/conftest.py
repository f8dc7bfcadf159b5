"""A running door, desks behind it, and people with workspaces."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.test import Client

from tests.gateway.desk import Desk, http_desk, websocket_desk
from tests.gateway.door import Visitor, enter
from tests.gateway.stack import Stack, running


@pytest.fixture(scope="session", params=["origin", "path"])
def any_stack(request: pytest.FixtureRequest, django_db_setup: None, tmp_path_factory: Any) -> Iterator[Stack]:
    """Once with an origin for each workspace, and Lua if it is there; once with a path for each, and without."""
    folder = tmp_path_factory.mktemp(request.param)
    with running(request.param, folder, with_lua=request.param == "origin") as started:
        yield started


@pytest.fixture
def stack(any_stack: Stack, settings: Any, transactional_db: None) -> Stack:
    """The door, with this process's settings as its own."""
    settings.PORTAL_URL, settings.WORKSPACE_URL = any_stack.portal_url, any_stack.workspace_url
    settings.RUNTIME = "fake"
    return any_stack


@pytest.fixture
def desk() -> Iterator[Desk]:
    with http_desk() as opened:
        yield opened


@pytest.fixture
def other_desk() -> Iterator[Desk]:
    with http_desk() as opened:
        yield opened


@pytest.fixture
def talking_desk() -> Iterator[Desk]:
    with websocket_desk() as opened:
        yield opened


@pytest.fixture
def run_at(stack: Stack, make_workspace: Callable[..., Any]) -> Callable[..., Any]:
    """A workspace that runs, as a desk that demands its secret."""

    def run(desk: Desk, owner: Any = None) -> Any:
        from portal.compute.specs import secret_of

        workspace = put_at(make_workspace(owner), desk.address)
        desk.secret = secret_of(workspace.allocation)
        return workspace

    return run


def put_at(workspace: Any, address: str) -> Any:
    """What reconcile would have written."""
    from environments.models import Workspace
    from portal.compute.models import Allocation, Node

    Allocation.objects.filter(pk=workspace.allocation_id).update(
        phase="running", address=address, node=Node.objects.get()
    )
    return Workspace.objects.select_related("allocation", "owner", "team").get(pk=workspace.pk)


@pytest.fixture
def portal_session() -> Callable[[Any], SessionStore]:
    """A person's sign-in at the portal."""

    def sign_in(user: Any) -> SessionStore:
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        session = client.session
        assert isinstance(session, SessionStore)
        return session

    return sign_in


@pytest.fixture
def let_in(stack: Stack, portal_session: Callable[[Any], SessionStore]) -> Callable[..., Visitor]:
    """The owner, past the door, through an entry link."""

    def walk_in(workspace: Any, signed_in: SessionStore | None = None) -> Visitor:
        from portal.gateway.actions import open_workspace

        signed_in = signed_in or portal_session(workspace.owner)
        entry = open_workspace(workspace, workspace.owner, signed_in.session_key)
        answer, visitor = enter(stack.port, entry.url)
        assert answer.status == 302, answer.body
        return visitor

    return walk_in
