"""The door for those whom a workspace is shared with: who comes in, and what shuts it and cuts what is open."""

from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from environments import access, handover, sharing
from environments import actions as workspaces
from environments.models import Share
from portal.accounts.actions import create_token
from portal.accounts.models import Membership
from portal.compute.models import Allocation
from portal.compute.specs import secret_of
from portal.gateway import actions
from portal.gateway.models import WorkspaceSession
from portal.lib import clock
from portal.lib.errors import Forbidden
from tests.gateway.desk import Desk
from tests.gateway.door import Visitor, enter, until
from tests.gateway.stack import Stack
from tests.gateway.test_websockets import colleague, is_cut

pytestmark = pytest.mark.django_db(transaction=True)
Run = Callable[..., Any]
own_origins = pytest.mark.parametrize("any_stack", ["origin"], indirect=True)
one_origin = pytest.mark.parametrize("any_stack", ["path"], indirect=True)


@pytest.fixture
def visit(stack: Stack, portal_session: Any) -> Callable[..., Visitor]:
    """A person whom it is shared with, past the door."""

    def walk_in(workspace: Any, person: Any) -> Visitor:
        entry = actions.open_workspace(workspace, person, portal_session(person).session_key)
        answer, visitor = enter(stack.port, entry.url)
        assert answer.status == 302, answer.body
        return visitor

    return walk_in


def share(workspace: Any, **values: Any) -> Share:
    return sharing.share(workspace, **{"right": "use"} | values, actor="vera")


@own_origins
def test_who_may_use_it_comes_in_by_the_open_button(
    stack: Stack, run_at: Run, desk: Desk, people: Any, bo: Any
) -> None:
    workspace, browser = run_at(desk), Client()
    share(workspace, user="bo")
    browser.force_login(bo, backend="django.contrib.auth.backends.ModelBackend")
    opened = browser.post(f"/workspaces/{workspace.pk}/open/", headers={"host": f"localhost:{stack.port}"})
    answer, visitor = enter(stack.port, opened.headers["Location"])
    assert answer.status == 302
    assert visitor.ask().status == 200
    assert f"token {desk.secret}" in visitor.ask().all("Authorization")
    assert visitor.session not in str(desk.seen)


def test_who_may_only_see_it_stays_outside(run_at: Run, desk: Desk, bo: Any, people: Any) -> None:
    workspace = run_at(desk)
    share(workspace, team="vision", right="view")
    for person in (bo, people.luis, people.oda, people.ada):
        with pytest.raises(Forbidden):
            actions.open_workspace(workspace, person)


@one_origin
def test_with_one_address_for_all_nobody_else_comes_in(
    stack: Stack, run_at: Run, desk: Desk, bo: Any, settings: Any
) -> None:
    workspace = run_at(desk)
    pattern, settings.WORKSPACE_URL = settings.WORKSPACE_URL, f"http://{{id}}.localhost:{stack.port}/"
    share(workspace, user="bo")
    assert access.Right.ENTER in access.rights_on(bo, workspace)
    settings.WORKSPACE_URL = pattern
    with pytest.raises(Forbidden):
        actions.open_workspace(workspace, bo)


@own_origins
def test_a_link_is_worth_nothing_once_it_is_no_longer_shared(stack: Stack, run_at: Run, desk: Desk, bo: Any) -> None:
    workspace = run_at(desk)
    given = share(workspace, user="bo")
    url = actions.open_workspace(workspace, bo).url
    sharing.revoke(given, actor="vera")
    assert enter(stack.port, url)[0].status == 403
    assert not WorkspaceSession.objects.exists()


@own_origins
def test_a_token_of_theirs_opens_no_door_by_itself_but_a_link(stack: Stack, run_at: Run, desk: Desk, bo: Any) -> None:
    workspace = run_at(desk)
    share(workspace, user="bo")
    new = create_token(bo, "cli", ["workspaces:write"], 1, actor="test")
    program = Visitor(stack.port, workspace.pk)
    assert program.ask(headers=[("Authorization", f"Bearer {new.secret}")]).status == 403
    answer, visitor = enter(stack.port, actions.open_workspace(workspace, bo, token=new.token).url)
    assert (answer.status, visitor.ask().status) == (302, 200)


def _revoke(given: Share) -> None:
    sharing.revoke(given, actor="vera")


def _expire(given: Share) -> None:
    past = clock.now() - timedelta(hours=1)
    Share.objects.filter(pk=given.pk).update(created_at=past, until=past + timedelta(minutes=1))


def _less(given: Share) -> None:
    share(given.workspace, user=given.user.username, right="view")  # type: ignore[union-attr]


def _receiver_leaves(given: Share) -> None:
    Membership.objects.filter(user=given.user).delete()


def _owner_leaves(given: Share) -> None:
    Membership.objects.filter(user=given.created_by).delete()


def _stop(given: Share) -> None:
    workspaces.stop(given.workspace, actor="vera")


def _delete(given: Share) -> None:
    workspaces.delete(given.workspace, delete_files=False, actor="vera")


def _deactivate(given: Share) -> None:
    assert given.user is not None
    given.user.is_active = False
    given.user.save(update_fields=["is_active"])


ENDINGS = [_revoke, _expire, _less, _receiver_leaves, _owner_leaves, _stop, _delete, _deactivate]


@own_origins
def test_whatever_ends_the_share_cuts_the_open_connection_and_shuts_the_door(
    run_at: Run, visit: Callable[..., Visitor], talking_desk: Desk
) -> None:
    with ExitStack() as open_ones:
        ended = {}
        for number, ending in enumerate([*ENDINGS, None]):
            workspace = run_at(talking_desk, colleague(number))
            talking_desk.secret = None
            guest = colleague(100 + number)
            given = share(workspace, user=guest.username)
            visitor = visit(workspace, guest)
            connection = open_ones.enter_context(visitor.talk())
            connection.send("hello")
            assert connection.recv(timeout=20) == "hello"
            if ending is None:
                untouched, its_visitor = connection, visitor
                continue
            ending(given)
            ended[ending.__name__] = (visitor, connection)
        for name, (visitor, connection) in ended.items():
            until(lambda c=connection: is_cut(c), f"the connection is cut after {name}")  # type: ignore[misc]
            until(lambda v=visitor: v.ask().status in (403, 503), f"the door is shut after {name}")  # type: ignore[misc]
        untouched.send("hello")
        assert untouched.recv(timeout=20) == "hello"
        assert its_visitor.ask().status != 403


@own_origins
def test_what_is_swept_away_is_what_no_longer_counts(run_at: Run, visit: Any, desk: Desk, bo: Any, people: Any) -> None:
    workspace = run_at(desk)
    given = share(workspace, user="bo")
    visit(workspace, people.vera)
    visit(workspace, bo)
    actions.sweep()
    assert WorkspaceSession.objects.count() == 2
    sharing.revoke(given, actor="vera")
    actions.sweep()
    assert list(WorkspaceSession.objects.values_list("user__username", flat=True)) == ["vera"]


def test_after_a_handover_the_owner_before_comes_in_no_more(
    stack: Stack, run_at: Run, visit: Any, desk: Desk, bo: Any, people: Any
) -> None:
    workspace = run_at(desk)
    before = visit(workspace, people.vera)
    ended = {"phase": "ended", "desired": "end", "ended_at": clock.now(), "next_look_at": None, "address": ""}
    Allocation.objects.filter(pk=workspace.allocation_id).update(**ended)
    taken = handover.accept(handover.offer(workspace, "bo", people.vera))
    workspaces.start(taken, actor="bo")
    again = {"phase": "running", "address": desk.address, "node": workspace.allocation.node}
    Allocation.objects.filter(owner_id=workspace.pk, ended_at=None).update(**again)
    taken.refresh_from_db()
    desk.secret = secret_of(Allocation.objects.get(owner_id=workspace.pk, ended_at=None))
    assert visit(taken, bo).ask().status == 200
    assert before.ask().status == 403
    with pytest.raises(Forbidden):
        actions.open_workspace(taken, people.vera)
