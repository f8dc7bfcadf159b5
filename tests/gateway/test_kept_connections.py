"""Which requests share a connection to their workspace, and what happens when the workspace closes it."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.gateway.desk import Desk, http_desk
from tests.gateway.door import Visitor
from tests.gateway.stack import Stack

pytestmark = pytest.mark.django_db(transaction=True)
Run = Callable[..., Any]
LetIn = Callable[..., Visitor]
MANY = 50


def test_reading_keeps_connections_where_nginx_can(run_at: Run, let_in: LetIn, desk: Desk, stack: Stack) -> None:
    visitor = let_in(run_at(desk))
    answers = [visitor.ask() for _ in range(MANY)]
    assert [answer.status for answer in answers] == [200] * MANY
    assert answers[-1].all("Connection") == ([] if stack.keeps else ["close"])
    assert (len(desk.wires) < MANY) is stack.keeps


def test_what_changes_something_or_has_a_body_goes_alone(run_at: Run, let_in: LetIn, desk: Desk) -> None:
    visitor = let_in(run_at(desk))
    origin = [("Origin", visitor.origin)]
    for method, length, body in (("POST", 0, b""), ("DELETE", None, b""), ("PUT", 3, b"abc"), ("GET", 3, b"abc")):
        visitor.ask()
        answer = visitor.ask("alone", origin, method=method, length=length, body=[body])
        assert (answer.status, answer.all("Connection")) == (200, ["close"]), method
    chunked = [*origin, ("Transfer-Encoding", "chunked")]
    assert visitor.ask("alone", chunked, body=[b"0\r\n\r\n"]).all("Connection") == ["close"]


@pytest.mark.parametrize("when", ["at once", "late"])
def test_a_desk_that_hangs_up_unannounced_answers_everything_once(
    run_at: Run, let_in: LetIn, desk: Desk, when: str
) -> None:
    visitor = let_in(run_at(desk))
    origin, desk.hangs_up = [("Origin", visitor.origin)], when
    sent = [(method, f"{method}-{number}") for number in range(MANY) for method in ("GET", "POST")]
    for method, path in sent:
        body = [b"abc"] if method == "POST" else []
        assert visitor.ask(path, origin, method=method, length=3 if body else None, body=body).status == 200, path
    assert [seen["path"] for seen in desk.seen] == [visitor.prefix + path for _, path in sent]


def test_connections_do_not_lead_to_whoever_has_the_address_next(run_at: Run, let_in: LetIn, people: Any) -> None:
    with http_desk() as before:
        visitor = let_in(run_at(before))
        assert [visitor.ask().status for _ in range(MANY)] == [200] * MANY
    with http_desk(int(before.address.rpartition(":")[2])) as after:
        run_at(after, people.oda)
        answers = [visitor.ask() for _ in range(MANY)]
    assert len(before.seen) == len(after.seen) == MANY
    assert {(answer.status, answer.body) for answer in answers} == {(403, b"another secret is asked for here")}


def test_a_desk_that_went_away_gives_the_page_with_a_way_back(run_at: Run, let_in: LetIn, stack: Stack) -> None:
    with http_desk() as desk:
        visitor = let_in(run_at(desk))
        assert visitor.ask().status == 200
    for method in ("GET", "POST"):
        answer = visitor.ask(method=method, headers=[("Origin", visitor.origin)], length=0)
        assert answer.status == 503
        assert f"{stack.portal_url}/workspaces/".encode() in answer.body
