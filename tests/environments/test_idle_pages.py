"""Idleness on the pages and in the API: who may extend, what is shown, what bad input names."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from environments.models import Workspace
from portal.accounts.actions import create_token
from portal.compute.models import Activity
from portal.lib import clock
from tests.conftest import People

pytestmark = pytest.mark.django_db
SignIn = Callable[[Any], Client]


@pytest.fixture
def idle(make_workspace: Callable[..., Any], settle: Callable[..., None]) -> Any:
    """It runs, has idled for 50 minutes, and is warned of its stop in ten."""
    workspace = make_workspace(name="churn-eda")
    settle()
    now = clock.now()
    Activity.objects.create(allocation=workspace.allocation, asked_at=now, known_since=now - timedelta(hours=1))
    Workspace.objects.update(
        idle_since=now - timedelta(minutes=50),
        counted="kernel",
        stops_at=now + timedelta(minutes=10),
        warned_at=now,
    )
    return workspace


def in_api(user: Any, method: str, path: str, body: Any = None) -> Any:
    token = create_token(user, "test", ["workspaces:write"], days=1, actor="test").secret
    send = getattr(Client(headers={"Authorization": f"Bearer {token}"}), method)
    return send(f"/api/v1{path}", body, content_type="application/json")


@pytest.mark.parametrize("path", ["/", "/workspaces/{pk}/"])
def test_the_warning_stands_where_it_is_seen(signed_in: SignIn, people: People, idle: Any, path: str) -> None:
    page = signed_in(people.vera).get(path.format(pk=idle.pk)).content.decode()
    assert "churn-eda looks idle." in page
    assert "Nothing has run in it for 50 min." in page
    assert "your files stay" in page
    for label, verb in (("Keep running", "extend"), ("Stop now", "stop")):
        assert label in page
        assert f'action="/workspaces/{idle.pk}/{verb}/"' in page


def test_rows_say_when_it_stops(signed_in: SignIn, people: People, idle: Any) -> None:
    client = signed_in(people.vera)
    assert "Idle stop " in client.get("/workspaces/").content.decode()
    Workspace.objects.update(warned_at=None, idle_since=clock.now())
    assert "Idle stop " not in client.get("/workspaces/").content.decode()
    later = clock.now() + timedelta(hours=2)
    Workspace.objects.update(keep_until=later, stops_at=later)
    assert "Keep until " in client.get("/workspaces/").content.decode()


def test_the_page_says_what_counted_last(signed_in: SignIn, people: People, idle: Any) -> None:
    page = signed_in(people.vera).get(f"/workspaces/{idle.pk}/").content.decode()
    assert "A kernel ran, 50 min ago" in page
    assert "After 1 h without use" in page
    Workspace.objects.update(counted="terminal")
    Activity.objects.update(terminal_command="train.sh")
    page = signed_in(people.vera).get(f"/workspaces/{idle.pk}/part/idle/").content.decode()
    assert "A command ran in a terminal (train.sh)" in page


def test_the_page_says_why_nothing_is_known(signed_in: SignIn, people: People, idle: Any) -> None:
    Workspace.objects.update(stops_at=None, warned_at=None)
    Activity.objects.update(trouble="The application does not answer when asked what runs in it.")
    page = signed_in(people.vera).get(f"/workspaces/{idle.pk}/").content.decode()
    assert "Not while Berth cannot tell what runs in it. The application does not answer" in page


@pytest.mark.parametrize(("hours", "minutes"), [("", 60), ("4", 240)])
def test_keep_running_by_button(signed_in: SignIn, people: People, idle: Any, hours: str, minutes: int) -> None:
    client = signed_in(people.vera)
    assert client.post(f"/workspaces/{idle.pk}/extend/", {"hours": hours}).status_code == 302
    idle.refresh_from_db()
    assert abs(idle.keep_until - clock.now() - timedelta(minutes=minutes)) < timedelta(minutes=1)
    assert "looks idle" not in client.get("/").content.decode()


def test_only_hours_that_the_template_allows_are_offered(signed_in: SignIn, people: People, idle: Any) -> None:
    client = signed_in(people.vera)
    page = client.get(f"/workspaces/{idle.pk}/").content.decode()
    assert "for 8 h" in page
    assert "for 12 h" not in page
    for bad in ("24", "0", "x"):
        answer = client.post(f"/workspaces/{idle.pk}/extend/", {"hours": bad}, follow=True)
        assert "Choose one of the hours" in answer.content.decode()
    idle.refresh_from_db()
    assert idle.keep_until is None


def test_who_may_keep_it_running(signed_in: SignIn, people: People, idle: Any) -> None:
    expected = {people.vera: 302, people.luis: 302, people.ada: 302, people.oda: 404}
    for user, status in expected.items():
        assert signed_in(user).post(f"/workspaces/{idle.pk}/extend/").status_code == status
        assert signed_in(user).post(f"/workspaces/{idle.pk}/auto-stop/").status_code == status
        assert in_api(user, "post", f"/workspaces/{idle.pk}/extend/").status_code == {302: 202}.get(status, status)
    assert signed_in(people.vera).get(f"/workspaces/{idle.pk}/extend/").status_code == 405


def test_minutes_by_form(signed_in: SignIn, people: People, idle: Any) -> None:
    client, path = signed_in(people.vera), f"/workspaces/{idle.pk}/auto-stop/"
    assert client.post(path, {"auto_stop_minutes": "30"}).status_code == 302
    idle.refresh_from_db()
    assert idle.auto_stop_minutes == 30
    for bad in ("5", "481", "x"):
        answer = client.post(path, {"auto_stop_minutes": bad})
        assert answer.status_code == 422
        assert "is-invalid" in answer.content.decode()
    assert client.post(path, {"auto_stop_minutes": ""}).status_code == 302
    idle.refresh_from_db()
    assert idle.auto_stop_minutes is None


def test_minutes_at_the_launch(signed_in: SignIn, people: People, catalog: None) -> None:
    client, path = signed_in(people.vera), "/workspaces/new/jupyter-python/"
    assert "10 to 480. Left empty: 60, as the template says." in client.get(path).content.decode()
    answer = client.post(path, {"auto_stop_minutes": "5"})
    assert answer.status_code == 422
    assert "stops after 10 to 480 idle minutes" in answer.content.decode()
    assert client.post(path, {"auto_stop_minutes": "45"}).status_code == 302
    assert Workspace.objects.get().auto_stop_minutes == 45


def test_the_api_says_when_it_stops_and_why(people: People, idle: Any) -> None:
    found = in_api(people.vera, "get", f"/workspaces/{idle.pk}/").json()
    idle.refresh_from_db()
    assert found["counted"]["what"] == "kernel"
    assert found["auto_stop_minutes"] == 60
    assert found["keep_until"] is None
    assert found["stops_at"] == idle.stops_at.isoformat().replace("+00:00", "Z")


def test_extending_by_the_api(people: People, idle: Any) -> None:
    path = f"/workspaces/{idle.pk}/extend/"
    until = (clock.now() + timedelta(hours=3)).isoformat()
    found = in_api(people.vera, "post", path, {"until": until}).json()
    assert found["keep_until"] == found["stops_at"] == until.replace("+00:00", "Z")
    far = (clock.now() + timedelta(hours=9)).isoformat()
    for bad in (far, "2020-01-01T00:00:00Z", "soon"):
        answer = in_api(people.vera, "post", path, {"until": bad})
        assert (answer.status_code, list(answer.json()["errors"])) == (422, ["until"])
    assert in_api(people.vera, "post", path, {"hours": 3}).status_code == 422


def test_minutes_by_the_api(people: People, idle: Any) -> None:
    path = f"/workspaces/{idle.pk}/"
    assert in_api(people.vera, "patch", path, {"auto_stop_minutes": 20}).json()["auto_stop_minutes"] == 20
    assert in_api(people.vera, "patch", path, {"auto_stop_minutes": None}).json()["auto_stop_minutes"] == 60
    for bad in (5, 500, "x"):
        answer = in_api(people.vera, "patch", path, {"auto_stop_minutes": bad})
        assert (answer.status_code, list(answer.json()["errors"])) == (422, ["auto_stop_minutes"])
