"""Who gets through the door by HTTP, and where they arrive."""

from collections.abc import Callable
from typing import Any

import pytest

from environments import addresses
from environments.actions import resume, suspend
from portal.accounts.actions import create_token, revoke_token
from portal.compute.models import Allocation
from tests.gateway.conftest import put_at
from tests.gateway.desk import Desk
from tests.gateway.door import Visitor, ask, until
from tests.gateway.stack import Stack, running

pytestmark = pytest.mark.django_db(transaction=True)
Run = Callable[..., Any]
LetIn = Callable[..., Visitor]


def test_the_owner_reaches_the_desk_and_the_desk_gets_its_secret(run_at: Run, let_in: LetIn, desk: Desk) -> None:
    visitor = let_in(run_at(desk))
    answer = visitor.ask("lab/tree/a%20b?x=1&y=%2F")
    assert answer.status == 200
    assert answer.seen["path"] == f"{visitor.prefix}lab/tree/a%20b?x=1&y=%2F"
    assert answer.all("Authorization") == [f"token {desk.secret}"]
    assert answer.all("Host") == [visitor.host]
    assert answer.headers["Set-Cookie"] is None


def test_nobody_else_gets_in(run_at: Run, let_in: LetIn, desk: Desk, other_desk: Desk, people: Any) -> None:
    mine, theirs = run_at(desk), run_at(other_desk, people.oda)
    oda = let_in(theirs)
    assert Visitor(oda.port, mine.pk).ask().status == 401
    assert Visitor(oda.port, mine.pk, "A" * 43).ask().status == 403
    assert oda.at(mine.pk).ask().status == 403
    assert desk.seen == []


def test_the_cache_of_answers_lets_only_its_own_session_in(
    run_at: Run, let_in: LetIn, desk: Desk, other_desk: Desk, people: Any
) -> None:
    mine, theirs = run_at(desk), run_at(other_desk, people.oda)
    vera, oda = let_in(mine), let_in(theirs)
    assert vera.ask("same").status == 200
    assert oda.at(mine.pk).ask("same").status == 403
    assert Visitor(vera.port, mine.pk).ask("same").status == 401
    assert vera.ask("same", method="POST", headers=[("Origin", "http://evil.example")]).status == 403
    assert [seen["path"] for seen in desk.seen] == [f"{vera.prefix}same"]


def test_an_unsafe_method_from_another_origin_is_refused(run_at: Run, let_in: LetIn, desk: Desk) -> None:
    visitor = let_in(run_at(desk))
    sibling = visitor.origin.replace("http://", "http://x")
    for origin in ("http://evil.example", "null", sibling, "http://evil.example " + visitor.origin):
        for method in ("POST", "PUT", "DELETE"):
            assert visitor.ask(method=method, headers=[("Origin", origin)]).status == 403
    assert desk.seen == []
    assert visitor.ask(method="POST", headers=[("Origin", visitor.origin)]).status == 200


def test_what_another_origin_may_read_it_may_still_not_change(run_at: Run, let_in: LetIn, desk: Desk) -> None:
    """The answer to the first request is remembered, but not for the second."""
    visitor, foreign = let_in(run_at(desk)), [("Origin", "http://evil.example")]
    assert visitor.ask(headers=foreign).status == 200
    assert visitor.ask(headers=foreign, method="POST").status == 403


def test_a_token_opens_the_door_for_that_request_and_goes_no_further(run_at: Run, stack: Stack, desk: Desk) -> None:
    workspace = run_at(desk)
    new = create_token(workspace.owner, "juno", ["workspaces:write"], 1, actor="test")
    nobody = Visitor(stack.port, workspace.pk)
    for scheme in ("Bearer", "token", "bearer"):
        answer = nobody.ask(headers=[("Authorization", f"{scheme} {new.secret}")])
        assert answer.status == 200, scheme
        assert answer.all("Authorization") == [f"token {desk.secret}"]
        assert new.secret not in str(answer.seen)
        assert answer.headers["Set-Cookie"] is None
        assert nobody.ask().status == 401


def test_a_token_that_is_read_only_revoked_or_someone_elses_opens_nothing(
    run_at: Run, stack: Stack, desk: Desk, people: Any
) -> None:
    workspace = run_at(desk)
    read_only = create_token(people.vera, "r", ["workspaces:read"], 1, actor="test")
    revoked = create_token(people.vera, "x", ["workspaces:write"], 1, actor="test")
    revoke_token(revoked.token, actor="test")
    others = create_token(people.oda, "o", ["workspaces:write"], 1, actor="test")
    for secret in (read_only.secret, revoked.secret, others.secret, "berth_" + "x" * 43):
        answer = Visitor(stack.port, workspace.pk).ask(headers=[("Authorization", f"Bearer {secret}")])
        assert answer.status == 403
    assert desk.seen == []


def test_a_reused_address_answers_with_a_refusal_never_with_a_neighbours_desk(
    run_at: Run, let_in: LetIn, desk: Desk, people: Any
) -> None:
    mine = run_at(desk)
    visitor = let_in(mine)
    assert visitor.ask().status == 200
    run_at(desk, people.oda)  # a container of another person now has the address
    answer = visitor.ask()
    assert (answer.status, answer.body) == (403, b"another secret is asked for here")


def test_a_fresh_container_gets_a_fresh_secret(run_at: Run, let_in: LetIn, desk: Desk) -> None:
    from portal.compute.specs import secret_of

    workspace = run_at(desk)
    visitor = let_in(workspace)
    Allocation.objects.filter(pk=workspace.allocation_id).update(generation=2)
    workspace.allocation.refresh_from_db()
    before, desk.secret = desk.secret, secret_of(workspace.allocation)
    assert before != desk.secret
    assert visitor.ask().all("Authorization") == [f"token {desk.secret}"]


def test_an_address_where_no_container_can_be_is_never_gone_to(run_at: Run, let_in: LetIn, desk: Desk) -> None:
    workspace = run_at(desk)
    for address in ("192.0.2.1:80", "169.254.169.254:80", "localhost:80", "evil.example:80", "127.0.0.1"):
        visitor = let_in(workspace)
        Allocation.objects.filter(pk=workspace.allocation_id).update(address=address)
        assert visitor.ask().status == 503, address
    assert desk.seen == []


def test_a_host_that_looks_alike_is_refused(run_at: Run, let_in: LetIn, desk: Desk) -> None:
    workspace = run_at(desk)
    visitor = let_in(workspace)
    token = create_token(workspace.owner, "t", ["workspaces:write"], 1, actor="test").secret
    hostname = visitor.host.partition(":")[0]
    for host in (f"{hostname}.:{visitor.port}", f"{hostname}:1", hostname, visitor.host.upper()):
        for proof in (visitor.cookie, [("Authorization", f"Bearer {token}")]):
            assert ask(visitor.port, host, visitor.prefix, proof).status == 403, host
    assert desk.seen == []


def test_what_does_not_run_is_told_to_its_owner_only(run_at: Run, let_in: LetIn, stack: Stack, desk: Desk) -> None:
    workspace = run_at(desk)
    visitor = let_in(workspace)
    Allocation.objects.filter(pk=workspace.allocation_id).update(phase="creating", address="")
    answer = visitor.ask()
    assert answer.status == 503
    assert b"does not run" in answer.body
    assert f"{stack.portal_url}/workspaces/{workspace.pk.lower()}/".encode() in answer.body
    assert Visitor(stack.port, workspace.pk).ask().status == 401
    put_at(workspace, desk.address)
    assert visitor.ask().status == 200, "a refusal is not remembered"


def test_what_is_suspended_is_told_at_once_and_goes_on_with_the_same_cookie(
    run_at: Run, let_in: LetIn, stack: Stack, desk: Desk
) -> None:
    workspace = run_at(desk)
    visitor = let_in(workspace)
    suspend(workspace, actor="vera")
    answer = visitor.ask()
    assert answer.status == 503
    assert b"This workspace is suspended" in answer.body
    assert f'href="{stack.portal_url}/workspaces/{workspace.pk.lower()}/resume/"'.encode() in answer.body
    assert Visitor(stack.port, workspace.pk).ask().status == 401
    assert desk.seen == []
    resume(workspace, actor="vera")
    assert visitor.ask().status == 200


def test_a_desk_that_does_not_answer_gives_a_page_with_a_way_back(
    run_at: Run, let_in: LetIn, stack: Stack, desk: Desk
) -> None:
    workspace = run_at(desk)
    visitor = let_in(workspace)
    Allocation.objects.filter(pk=workspace.allocation_id).update(address="127.0.0.1:1")
    answer = visitor.ask()
    assert answer.status == 503
    assert f"{stack.portal_url}/workspaces/".encode() in answer.body


def test_large_uploads_arrive_while_they_are_sent(run_at: Run, let_in: LetIn, desk: Desk) -> None:
    """The second half is only sent once the desk has seen some of the first."""
    visitor, piece, pieces = let_in(run_at(desk)), b"x" * (1 << 20), 200

    def body() -> Any:
        for number in range(pieces):
            if number == pieces // 2:
                until(lambda: desk.received > 50 * len(piece), "the desk receives what was sent")
            yield piece

    answer = visitor.ask("up", method="PUT", body=body(), length=pieces * len(piece))
    assert answer.status == 200
    assert desk.received == pieces * len(piece)


def test_use_is_remembered_on_the_workspace(run_at: Run, let_in: LetIn, desk: Desk) -> None:
    workspace = run_at(desk)
    visitor = let_in(workspace)
    visitor.ask(method="POST", length=0)
    workspace.refresh_from_db()
    first = workspace.last_activity_at
    assert first is not None
    visitor.ask(method="PUT", length=0)
    workspace.refresh_from_db()
    assert workspace.last_activity_at == first


PAGE = [("Accept", "text/html,application/xhtml+xml")]
REQUESTS: dict[str, tuple[dict[str, Any], dict[str, bool]]] = {
    "loading its page": ({"headers": PAGE}, {"jupyter": True, "rstudio": True, "web": True}),
    "saving": ({"method": "PUT", "length": 0}, {"jupyter": True, "rstudio": True, "web": True}),
    "asking what is new": ({}, {"jupyter": False, "code-server": False, "rstudio": False, "web": True}),
    "JupyterLab's layout": (
        {"path": "lab/api/workspaces/default?1", "method": "PUT", "length": 0},
        {"jupyter": False},
    ),
    "RStudio's events": (
        {"path": "events/get_events", "method": "POST", "length": 0},
        {"jupyter": False, "rstudio": False, "web": False},
    ),
}


@pytest.mark.parametrize("what", REQUESTS)
def test_what_an_open_page_asks_on_its_own_is_no_use(run_at: Run, let_in: LetIn, desk: Desk, what: str) -> None:
    from environments.models import TemplateVersion

    how, expected = REQUESTS[what]
    for kind, counts in expected.items():
        workspace = run_at(desk)
        TemplateVersion.objects.update(activity=kind)
        let_in(workspace).ask(**how)
        workspace.refresh_from_db()
        assert (workspace.last_activity_at is not None) == counts, (what, kind)


def test_without_the_portal_nobody_gets_in(
    settings: Any, django_db_setup: None, transactional_db: None, tmp_path: Any, desk: Desk, make_workspace: Run
) -> None:
    from portal.gateway.actions import enter, open_workspace

    with running("origin", tmp_path, with_web=False) as alone:
        settings.PORTAL_URL, settings.WORKSPACE_URL = alone.portal_url, alone.workspace_url
        settings.RUNTIME = "fake"
        workspace = put_at(make_workspace(), desk.address)
        ticket = open_workspace(workspace, workspace.owner).url.partition("ticket=")[2]
        session = enter(ticket, workspace.pk, addresses.host(workspace.pk)).secret
        assert Visitor(alone.port, workspace.pk, session).ask().status == 503
        assert ask(alone.port, f"localhost:{alone.port}", "/").status == 502
    assert desk.seen == []
