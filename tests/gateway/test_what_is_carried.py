"""What the workspace gets to see of a request, and what a client cannot make nginx believe."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from environments.models import TemplateVersion
from portal.accounts.actions import create_token
from portal.gateway import places
from tests.gateway.desk import Desk
from tests.gateway.door import Visitor, ask
from tests.gateway.stack import Stack

pytestmark = pytest.mark.django_db(transaction=True)
Run = Callable[..., Any]
LetIn = Callable[..., Visitor]

COOKIES = {
    "{ours}": [],
    "a=1; {ours}": ["a=1; "],
    "{ours}; b=2": ["b=2"],
    "a=1; {ours}; b=2": ["a=1; b=2"],
    'a="x y"; _xsrf=2|ab|cd==; {ours}; b=2': ['a="x y"; _xsrf=2|ab|cd==; b=2'],
    "{ours}; a=1; {ours}; b=2": ["a=1; b=2"],
    "{quoted}; a=1": ["a=1"],
    'a=1; {name}="x; y"; {ours}; b=2': ["a=1; b=2"],
    "{ours}; a=1; {ours}; {ours}": [],
    "my-{name}=kept; {ours}": ["my-{name}=kept; "],
    "{ours}; {name}s=kept": ["{name}s=kept"],
    "a=1;{ours};b=2": ["a=1;b=2"],
}

PATHS = [
    "%2e%2e/{theirs}/",
    "..%2f{theirs}/",
    "../{theirs}/",
    "%2e%2e%2f{theirs}%2f",
    "x/../../{theirs}/",
    "..;/{theirs}/",
    ".%00./{theirs}/",
    "%00",
    "/evil.example/",
    "\\evil.example",
    "%5cevil.example",
    "%2f%2fevil.example",
    "http://evil.example/",
    "@evil.example/",
]


def test_the_workspace_sees_its_own_cookies_and_never_ours(run_at: Run, let_in: LetIn, desk: Desk) -> None:
    visitor = let_in(run_at(desk))
    name = places.cookie_name()
    names = {"name": name, "ours": f"{name}={visitor.session}", "quoted": f'{name}="{visitor.session}"'}
    bare = Visitor(visitor.port, visitor.workspace)
    for sent, kept in COOKIES.items():
        answer = bare.ask(headers=[("Cookie", sent.format(**names))])
        assert answer.status == 200, sent
        assert answer.all("Cookie") == [one.format(**names) for one in kept]
        assert visitor.session not in str(answer.seen)


def test_cookies_in_two_headers_are_both_cleaned(run_at: Run, let_in: LetIn, desk: Desk) -> None:
    visitor = let_in(run_at(desk))
    answer = visitor.ask(headers=[("Cookie", "a=1"), *visitor.cookie])
    assert answer.status == 200
    assert visitor.session not in str(answer.seen)
    assert "a=1" in answer.all("Cookie")[0]


def test_a_client_cannot_name_the_upstream_or_speak_as_nginx(
    run_at: Run, let_in: LetIn, desk: Desk, other_desk: Desk, people: Any
) -> None:
    visitor, theirs = let_in(run_at(desk)), run_at(other_desk, people.oda)
    spoofed = {
        "X-Upstream": other_desk.address,
        "X-Berth-Upstream": other_desk.address,
        "X-Berth-Authorization": f"token {other_desk.secret}",
        "X-Berth-Secret": "mine",
        "X-Berth-Session": "session:x",
        "X-Berth-Workspace": theirs.pk,
        "X-Original-Host": Visitor(visitor.port, theirs.pk).host,
        "X-Original-URI": "/",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-For": "192.0.2.7",
        "X-Forwarded-Prefix": "/evil",
        "X-Forwarded-Port": "1",
        "X-Real-IP": "192.0.2.7",
        "Forwarded": "host=evil.example",
    }
    answer = visitor.ask(headers=spoofed.items())
    assert answer.status == 200
    for name, value in {
        "X-Forwarded-Host": visitor.host,
        "X-Forwarded-Proto": "http",
        "X-Forwarded-For": "127.0.0.1",
    }.items():
        assert answer.all(name) == [value]
    for name in ("X-Upstream", "X-Berth-Upstream", "X-Berth-Session", "X-Berth-Authorization", "Forwarded"):
        assert answer.all(name) == []
    assert answer.all("X-Berth-Secret") == [desk.secret]
    assert "192.0.2.7" not in str(answer.seen)
    assert other_desk.seen == []
    assert Visitor(visitor.port, theirs.pk).ask(headers=[*spoofed.items(), *visitor.cookie]).status == 403


def test_another_kind_of_application_keeps_the_clients_authorization_but_not_our_token(
    run_at: Run, let_in: LetIn, desk: Desk, stack: Stack
) -> None:
    workspace = run_at(desk)
    secret, desk.secret = desk.secret, None
    TemplateVersion.objects.update(door_header="X-Berth-Secret: {secret}")
    visitor = let_in(workspace)
    with_own = visitor.ask(headers=[("Authorization", "Basic dXNlcjpwYXNz")])
    assert with_own.all("Authorization") == ["Basic dXNlcjpwYXNz"]
    assert with_own.all("X-Berth-Secret") == [secret]
    token = create_token(workspace.owner, "t", ["workspaces:write"], 1, actor="test").secret
    with_token = Visitor(stack.port, workspace.pk).ask(headers=[("Authorization", f"Bearer {token}")])
    assert with_token.status == 200
    assert with_token.all("Authorization") == []


def test_a_workspace_cannot_send_nginx_to_the_door(run_at: Run, let_in: LetIn, desk: Desk) -> None:
    visitor = let_in(run_at(desk))
    for target in ("/.berth/auth", "@refused", "/"):
        answer = visitor.ask(headers=[("X-Answer-With", json.dumps({"X-Accel-Redirect": target}))])
        assert answer.status == 200
        assert answer.seen["path"] == visitor.prefix
        assert answer.headers["X-Berth-Secret"] is None


def test_nothing_under_our_own_path_reaches_the_workspace_or_the_door(run_at: Run, let_in: LetIn, desk: Desk) -> None:
    visitor = let_in(run_at(desk))
    for path in ("auth", "", "other", "enter/x", "%61uth"):
        assert visitor.ask(f".berth/{path}").status == 404
        assert ask(visitor.port, visitor.host, f"/.berth/{path}", visitor.cookie).status == 404
    assert desk.seen == []


def test_a_path_never_leads_to_another_workspace_or_host(
    run_at: Run, let_in: LetIn, desk: Desk, other_desk: Desk, people: Any
) -> None:
    visitor, theirs = let_in(run_at(desk)), run_at(other_desk, people.oda)
    for pattern in PATHS:
        path = pattern.format(theirs=theirs.pk.lower())
        answer = visitor.ask(path)
        assert answer.status in (200, 400, 403, 404), path
        assert answer.headers["Location"] is None, path
        assert other_desk.seen == [], path
        if answer.status == 200:
            assert desk.seen[-1]["path"] == visitor.prefix + path


def test_a_header_of_a_megabyte_is_refused_in_words(run_at: Run, let_in: LetIn, desk: Desk) -> None:
    visitor = let_in(run_at(desk))
    for name in ("X-Long", "Cookie", "Origin", "Authorization", "X-Original-Host"):
        for host, path in ((visitor.host, visitor.prefix), (f"localhost:{visitor.port}", "/")):
            answer = ask(visitor.port, host, path, [(name, "x" * (1 << 20))])
            assert 400 <= answer.status < 500, name
            assert b"Traceback" not in answer.body
    assert desk.seen == []


def test_a_long_header_cannot_upset_the_door(run_at: Run, let_in: LetIn, desk: Desk) -> None:
    visitor = let_in(run_at(desk))
    for name in ("Origin", "Authorization", "X-Original-Host", "Upgrade"):
        assert visitor.ask(headers=[(name, "x" * 20_000)]).status == 200, name


def test_an_unknown_host_is_told_where_berth_is(stack: Stack, run_at: Run, desk: Desk) -> None:
    workspace = run_at(desk)
    label = workspace.pk.lower()
    for host in (
        "evil.example",
        f"127.0.0.1:{stack.port}",
        f"{label}.localhost.evil.example",
        f"x{label}.localhost",
        "",
    ):
        answer = ask(stack.port, host, "/")
        assert answer.status in (400, 421)
        assert answer.headers["Location"] is None


def test_the_portal_and_the_workspaces_share_nothing(run_at: Run, let_in: LetIn, desk: Desk, stack: Stack) -> None:
    visitor, portal = let_in(run_at(desk)), f"localhost:{stack.port}"
    for path in (
        "/gateway/auth",
        "//gateway/auth",
        "/gateway%2fauth",
        "/x/../gateway/auth",
        "/gateway/enter/?ticket=x",
    ):
        assert ask(stack.port, portal, path, visitor.cookie).status == 404
    assert ask(stack.port, portal, f"/w/{visitor.workspace.lower()}/", visitor.cookie).status == 404
    assert desk.seen == []
    at_home = ask(stack.port, portal, "/", [("X-Forwarded-Host", "evil.example"), *visitor.cookie])
    assert (at_home.status, at_home.headers["Location"]) == (302, "/sign-in/?next=/")
    assert visitor.ask("sign-in/").seen["path"] == f"{visitor.prefix}sign-in/"
