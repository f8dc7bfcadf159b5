"""Suspending on the pages and in the API: who may, what is shown, and what the address of a suspended one leads to."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from environments.models import Template, Workspace
from portal.accounts.actions import create_token
from portal.audit.models import AuditEvent
from portal.compute.decide import FREEZE_AFTER
from portal.compute.models import Allocation, Node
from portal.lib import clock
from tests.conftest import People

pytestmark = pytest.mark.django_db
SignIn = Callable[[Any], Client]


@pytest.fixture
def workspace(make_workspace: Callable[..., Any], settle: Callable[..., None]) -> Any:
    made = make_workspace(name="churn-eda")
    settle()
    return made


@pytest.fixture
def suspended(workspace: Any, settle: Callable[..., None], people: People) -> Any:
    assert in_api(people.vera, f"/workspaces/{workspace.pk}/suspend/").status_code == 202
    with clock.shifted(FREEZE_AFTER):
        settle()
    return workspace


def in_api(user: Any, path: str) -> Any:
    token = create_token(user, "test", ["workspaces:write"], days=1, actor="test").secret
    return Client(headers={"Authorization": f"Bearer {token}"}).post(f"/api/v1{path}")


def shown(client: Client, path: str) -> str:
    return client.get(path).content.decode()


def desired() -> str:
    return Allocation.objects.get().desired


def test_one_that_runs_offers_it(signed_in: SignIn, people: People, workspace: Any) -> None:
    client = signed_in(people.vera)
    offered = f'action="/workspaces/{workspace.pk}/suspend/"'
    assert offered in shown(client, f"/workspaces/{workspace.pk}/")
    answer = client.post(f"/workspaces/{workspace.pk}/suspend/", follow=True)
    assert "Suspending" in answer.content.decode()
    assert desired() == "suspend"
    Allocation.objects.update(desired="run")
    Node.objects.update(freezes=False)
    assert offered not in shown(client, f"/workspaces/{workspace.pk}/")


def test_the_page_says_suspended_and_what_it_costs_and_resumes(
    signed_in: SignIn, people: People, suspended: Any
) -> None:
    client = signed_in(people.vera)
    page = shown(client, f"/workspaces/{suspended.pk}/")
    assert "Suspended" in page
    assert "its memory stays reserved, so the price runs on" in page
    assert "CPU and memory" in page
    main = page[page.index(f'action="/workspaces/{suspended.pk}/resume/"') :]
    assert "btn-primary" in main[: main.index("</form>")]
    for path in ("/", "/workspaces/"):
        assert f'action="/workspaces/{suspended.pk}/resume/"' in shown(client, path)
    answer = client.post(f"/workspaces/{suspended.pk}/resume/", follow=True)
    assert "Resuming" in answer.content.decode()
    assert desired() == "run"


def test_who_comes_from_its_own_address_is_asked_and_led_in(signed_in: SignIn, people: People, suspended: Any) -> None:
    """The question changes nothing; its button opens."""
    client, path = signed_in(people.vera), f"/workspaces/{suspended.pk.lower()}/resume/"
    page = shown(client, path)
    assert f'action="/workspaces/{suspended.pk}/open/"' in page
    assert "Resume and open" in page
    assert desired() == "suspend"
    client.post(f"/workspaces/{suspended.pk}/open/")
    assert desired() == "run"
    assert client.get(path).headers["Location"] == f"/workspaces/{suspended.pk}/"


def test_who_may(signed_in: SignIn, people: People, workspace: Any, bo: Any) -> None:
    """A lead may suspend as they may stop; going on is for who may go in."""
    suspend, resume = (f"/workspaces/{workspace.pk}/{verb}/" for verb in ("suspend", "resume"))
    assert [in_api(user, suspend).status_code for user in (people.oda, bo, people.luis)] == [404, 403, 202]
    assert [in_api(user, resume).status_code for user in (people.oda, bo, people.luis)] == [404, 403, 403]
    assert signed_in(people.luis).post(resume).status_code == 403
    assert desired() == "suspend"
    assert in_api(people.vera, resume).status_code == 202
    told = AuditEvent.objects.filter(verb__in=["workspace.suspend", "workspace.resume"]).values_list("actor", "verb")
    assert set(told) == {("luis", "workspace.suspend"), ("vera", "workspace.resume")}


def test_the_api_says_suspended_and_start_resumes(people: People, suspended: Any) -> None:
    answer = in_api(people.vera, f"/workspaces/{suspended.pk}/suspend/").json()
    assert (answer["state"], answer["stage"], answer["reason"]) == ("suspended", None, None)
    answer = in_api(people.vera, f"/workspaces/{suspended.pk}/start/").json()
    assert answer["state"] == "running"


def test_what_does_not_run_is_not_suspended(people: People, make_workspace: Callable[..., Any]) -> None:
    queued = make_workspace()
    refused = in_api(people.vera, f"/workspaces/{queued.pk}/suspend/")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_running")


def test_the_card_says_when_the_rule_suspends_and_when_it_then_stops(
    signed_in: SignIn, people: People, suspended: Any
) -> None:
    Template.objects.update(idle={"suspend_after_minutes": 30, "stop_after_minutes": 120, "most_minutes": 480})
    now = clock.now()
    Workspace.objects.update(
        idle_since=now - timedelta(minutes=115), stops_at=now + timedelta(minutes=5), warned_at=now, counted="kernel"
    )
    page = shown(signed_in(people.vera), f"/workspaces/{suspended.pk}/")
    assert "After 30 min without use; it then resumes in a second" in page
    assert "if nobody resumes it until then" in page
    assert "Keep it longer" in page
    Workspace.objects.update(auto_stop_minutes=20)
    assert "Suspends</dt>" not in shown(signed_in(people.vera), f"/workspaces/{suspended.pk}/")
