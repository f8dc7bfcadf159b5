"""Entry links: for one person, one workspace, one host, one minute, once."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client

from environments import addresses
from environments.actions import suspend
from portal.accounts.actions import create_token, revoke_token
from portal.accounts.models import Membership
from portal.audit.models import AuditEvent
from portal.compute.models import Allocation
from portal.gateway import actions, places
from portal.gateway.models import EntryTicket, WorkspaceSession
from portal.lib import clock
from portal.lib.errors import Conflict, Forbidden
from tests.gateway.desk import Desk
from tests.gateway.door import Visitor, ask, enter
from tests.gateway.stack import Stack

pytestmark = pytest.mark.django_db(transaction=True)
Run = Callable[..., Any]


def refusals() -> list[str]:
    events = AuditEvent.objects.filter(verb="workspace.enter_refused")
    return [event.after["reason"] for event in events]


@pytest.fixture
def url(stack: Stack, run_at: Run, desk: Desk, portal_session: Any) -> str:
    """A fresh entry link of vera's."""
    workspace = run_at(desk)
    return actions.open_workspace(workspace, workspace.owner, portal_session(workspace.owner).session_key).url


def test_the_open_button_leads_into_the_workspace(stack: Stack, run_at: Run, desk: Desk, people: Any) -> None:
    workspace, browser = run_at(desk), Client()
    browser.force_login(people.vera, backend="django.contrib.auth.backends.ModelBackend")
    opened = browser.post(f"/workspaces/{workspace.pk}/open/", headers={"host": f"localhost:{stack.port}"})
    answer, visitor = enter(stack.port, opened.headers["Location"])
    assert (answer.status, answer.headers["Location"]) == (302, addresses.prefix(workspace.pk))
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "no-store" in answer.headers["Cache-Control"]
    assert visitor.ask().status == 200


def test_opening_what_is_suspended_resumes_it_and_leads_in(stack: Stack, run_at: Run, desk: Desk, people: Any) -> None:
    workspace, browser = run_at(desk), Client()
    suspend(workspace, actor="vera")
    browser.force_login(people.vera, backend="django.contrib.auth.backends.ModelBackend")
    opened = browser.post(f"/workspaces/{workspace.pk}/open/", headers={"host": f"localhost:{stack.port}"})
    _, visitor = enter(stack.port, opened.headers["Location"])
    assert visitor.ask().status == 200
    assert Allocation.objects.get().desired == "run"


def test_the_cookie_is_for_this_workspace_only(stack: Stack, url: str) -> None:
    cookie, *attributes = enter(stack.port, url)[0].headers["Set-Cookie"].split("; ")
    assert cookie.startswith("berth-workspace=")
    assert {"HttpOnly", "SameSite=Lax", f"Path={urlsplit(url).path.removesuffix('.berth/enter')}"} <= set(attributes)
    assert not [one for one in attributes if one.startswith(("Domain", "Secure"))]


def test_a_link_works_once(stack: Stack, url: str) -> None:
    assert enter(stack.port, url)[0].status == 302
    again, nobody = enter(stack.port, url)
    assert (again.status, nobody.session) == (403, "")
    assert refusals() == ["used before"]
    assert WorkspaceSession.objects.count() == 1


def test_a_link_is_over_after_a_minute(stack: Stack, url: str) -> None:
    EntryTicket.objects.update(expires_at=clock.now() - timedelta(seconds=1))
    assert enter(stack.port, url)[0].status == 403
    assert refusals() == ["expired"]
    assert timedelta(seconds=60) >= actions.TICKET_LIFETIME


def test_a_link_works_on_its_own_host_only(stack: Stack, url: str) -> None:
    parts = urlsplit(url)
    hostname = str(parts.hostname)
    for host in (f"{hostname}.:{stack.port}", f"{hostname}:1", f"{hostname.upper()}:{stack.port}", hostname):
        answer = ask(stack.port, host, f"{parts.path}?{parts.query}")
        assert (answer.status, answer.headers["Set-Cookie"]) == (403, None)
    assert refusals() == ["other place"] * 4
    assert enter(stack.port, url)[0].status == 302


def test_a_link_opens_no_other_workspace(stack: Stack, url: str, run_at: Run, other_desk: Desk) -> None:
    parts = urlsplit(url)
    other = Visitor(stack.port, run_at(other_desk).pk)
    assert ask(stack.port, other.host, f"{other.prefix}.berth/enter?{parts.query}").status == 403
    assert refusals() == ["other place"]


def test_only_the_owner_gets_a_link(run_at: Run, desk: Desk, people: Any) -> None:
    workspace = run_at(desk)
    for other in (people.oda, people.luis, people.ada):
        with pytest.raises(Forbidden):
            actions.open_workspace(workspace, other)
    assert not EntryTicket.objects.exists()


def test_a_link_is_worth_nothing_once_its_owner_signed_out_or_left(
    stack: Stack, run_at: Run, desk: Desk, portal_session: Any
) -> None:
    workspace = run_at(desk)
    session = portal_session(workspace.owner)
    signed_out = actions.open_workspace(workspace, workspace.owner, session.session_key).url
    left = actions.open_workspace(workspace, workspace.owner).url
    session.flush()
    Membership.objects.filter(user=workspace.owner).delete()
    assert enter(stack.port, signed_out)[0].status == 403
    assert enter(stack.port, left)[0].status == 403
    assert refusals() == ["right lost"]
    assert not WorkspaceSession.objects.exists()


def test_what_a_token_opened_ends_with_the_token(stack: Stack, run_at: Run, desk: Desk) -> None:
    workspace = run_at(desk)
    token = create_token(workspace.owner, "cli", ["workspaces:write"], 1, actor="test").token
    first = actions.open_workspace(workspace, workspace.owner, token=token).url
    second = actions.open_workspace(workspace, workspace.owner, token=token).url
    visitor = enter(stack.port, first)[1]
    revoke_token(token, actor="test")
    assert visitor.ask().status == 403
    assert enter(stack.port, second)[0].status == 403


def test_what_does_not_run_cannot_be_opened(run_at: Run, desk: Desk, stack: Stack) -> None:
    workspace = run_at(desk)
    url = actions.open_workspace(workspace, workspace.owner).url
    Allocation.objects.update(desired="end")
    workspace.allocation.refresh_from_db()
    with pytest.raises(Conflict):
        actions.open_workspace(workspace, workspace.owner)
    assert enter(stack.port, url)[0].status == 403
    assert refusals() == ["not running"]


def test_only_a_plain_get_uses_a_link_up(stack: Stack, url: str) -> None:
    parts = urlsplit(url)
    for method in ("HEAD", "POST"):
        answer = ask(stack.port, parts.netloc, f"{parts.path}?{parts.query}", method=method, length=0)
        assert answer.status in (403, 405)
    assert enter(stack.port, url)[0].status == 302


@pytest.mark.parametrize(
    "query", ["", "?ticket=", "?ticket=%00", "?ticket=//evil.example", "?next=//evil.example&ticket=x"]
)
def test_nonsense_is_refused_and_leads_nowhere(stack: Stack, url: str, query: str) -> None:
    parts = urlsplit(url)
    answer = ask(stack.port, parts.netloc, parts.path + query)
    assert (answer.status, answer.headers["Location"], answer.headers["Set-Cookie"]) == (403, None, None)


def test_where_one_goes_after_entering_cannot_be_chosen(stack: Stack, url: str) -> None:
    parts = urlsplit(url)
    answer = ask(stack.port, parts.netloc, f"{parts.path}?next=//evil.example&{parts.query}&url=/%5Cevil.example")
    assert answer.headers["Location"] == parts.path.removesuffix(".berth/enter")


def test_what_has_ended_is_swept_away(stack: Stack, url: str, run_at: Run, other_desk: Desk) -> None:
    enter(stack.port, url)
    stays = run_at(other_desk)
    enter(stack.port, actions.open_workspace(stays, stays.owner).url)
    stopped = WorkspaceSession.objects.exclude(workspace=stays).get().allocation_id
    Allocation.objects.filter(pk=stopped).update(
        phase="ended", desired="end", address="", ended_at=clock.now(), next_look_at=None
    )
    actions.sweep()
    assert list(WorkspaceSession.objects.values_list("workspace", flat=True)) == [stays.pk]
    with clock.shifted(timedelta(days=8)):
        actions.sweep()
    assert not WorkspaceSession.objects.exists()
    assert not EntryTicket.objects.exists()


@pytest.mark.parametrize(
    ("pattern", "name", "path"),
    [
        ("https://{id}.ws.example.net/", "__Host-berth-workspace", "/"),
        ("https://ws.example.net/w/{id}/", "__Secure-berth-workspace", "/w/{id}/"),
    ],
)
def test_under_tls_browsers_hold_the_cookie_to_its_place(
    settings: Any, stack: Stack, run_at: Run, desk: Desk, client: Client, pattern: str, name: str, path: str
) -> None:
    settings.WORKSPACE_URL = pattern
    workspace = run_at(desk)
    url = actions.open_workspace(workspace, workspace.owner).url
    described = {"x-berth-workspace": workspace.pk.lower(), "x-original-host": addresses.host(workspace.pk)}
    answer = client.get("/gateway/enter/", {"ticket": url.partition("ticket=")[2]}, headers=described)
    assert places.cookie_name() == name
    cookie = answer.cookies[name]
    assert (cookie["secure"], cookie["httponly"], cookie["domain"]) == (True, True, "")
    assert cookie["path"] == path.format(id=workspace.pk.lower())
