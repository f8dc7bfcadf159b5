"""Pages tell times where their reader is; the cookie that says where may hold anything."""

from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.test import Client
from django.utils.timezone import get_current_timezone

from portal.compute.models import Allocation
from tests.conftest import People

pytestmark = pytest.mark.django_db
SignIn = Callable[[Any], Client]
NONSENSE = ["", "Mars", "../../etc/passwd", "/etc/localtime", '"UTC\\000"', "europe/berlin", "Europe", "Ö", "x" * 4000]


@pytest.fixture
def workspace(make_workspace: Callable[..., Any], settle: Callable[..., None]) -> Any:
    made = make_workspace()
    settle()
    return made


def page(client: Client, workspace: Any, zone: str) -> str:
    """`zone` is as it stands in the header: a client that means no good writes there what it likes."""
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    cookies = f"{settings.SESSION_COOKIE_NAME}={session}; zone={zone}"
    answer = client.get(f"/workspaces/{workspace.pk}/", headers={"Cookie": cookies})
    assert answer.status_code == 200
    return answer.content.decode()


def test_times_and_the_default_of_a_schedule_are_the_readers(signed_in: SignIn, people: People, workspace: Any) -> None:
    client = signed_in(people.vera)
    shown = page(client, workspace, "Asia/Kolkata")
    assert "times in IST" in shown
    assert 'name="time_zone" value="Asia/Kolkata"' in shown
    begun = Allocation.objects.get().transitions.order_by("pk")[0].at
    assert f"{begun.astimezone(ZoneInfo('Asia/Kolkata')):%H:%M:%S}</time>" in shown
    assert f"{begun:%H:%M:%S}</time>" in page(client, workspace, "UTC")
    assert str(get_current_timezone()) == "UTC"


@pytest.mark.parametrize("zone", NONSENSE)
def test_nonsense_is_utc(signed_in: SignIn, people: People, workspace: Any, zone: str) -> None:
    shown = page(signed_in(people.vera), workspace, zone)
    assert "times in UTC" in shown
    assert 'name="time_zone" value="UTC"' in shown


def test_the_api_is_in_utc_for_everybody(client: Client, people: People, workspace: Any) -> None:
    from portal.accounts.actions import create_token

    token = create_token(people.vera, "test", ["workspaces:read"], 1, actor="test").secret
    client.cookies["zone"] = "Asia/Kolkata"
    answer = client.get(f"/api/v1/workspaces/{workspace.pk}/", headers={"Authorization": f"Bearer {token}"})
    assert answer.json()["created_at"].endswith("Z")
