"""The health page: who may see it, and what it says when each part is well, away or in trouble."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from redis import Redis

from environments.models import Image
from portal.administration.health import Line
from portal.compute import ticking
from portal.compute.models import Allocation, Heartbeat, Node
from portal.lib import clock
from portal.live import redis
from portal.notices.models import Delivery, Notice, Webhook
from tests.conftest import People

pytestmark = pytest.mark.django_db
SignIn = Callable[[Any], Client]
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def redis_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis, "ping", lambda: True)


@pytest.fixture
def well(catalog: None) -> None:
    """Every process works, and the one node answers."""
    for name in ("worker", "agent"):
        ticking.beat(name)


def lines(client: Client) -> dict[str, Line]:
    answer = client.get("/health/")
    assert answer.status_code == 200
    found = [line for group in answer.context["groups"] for line in group.lines]
    assert all(line.todo for line in found if line.state == "failed")
    return {line.name: line for line in found}


def told(line: Line) -> tuple[str, str]:
    return line.state, line.word


def test_only_administrators_see_it(people: People, admin: Client, signed_in: SignIn, client: Client) -> None:
    assert '<a href="/health/" aria-current="page">' in admin.get("/health/").content.decode()
    for other in (people.vera, people.luis):
        assert signed_in(other).get("/health/").status_code == 403
        assert 'href="/health/"' not in signed_in(other).get("/").content.decode()
    assert client.get("/health/").url.startswith("/sign-in/")  # type: ignore[attr-defined]
    assert admin.post("/health/").status_code == 405


def test_where_all_is_well_no_line_is_red(admin: Client, well: None) -> None:
    assert {line.state for line in lines(admin).values()} == {"ready"}
    page = admin.get("/health/").content.decode()
    assert "All is well." in page
    assert 'hx-trigger="every 15s"' in page


def test_before_anything_runs_it_says_what_to_start(admin: Client) -> None:
    shown = lines(admin)
    assert told(shown["worker"]) == told(shown["agent"]) == ("failed", "Never seen")
    assert told(shown["No node"]) == ("failed", "None")
    assert "3 of the lines below need you." in admin.get("/health/").content.decode()


def test_a_process_is_red_after_ninety_seconds(admin: Client, well: None) -> None:
    now = clock.now()
    Heartbeat.objects.filter(name="worker").update(at=now - timedelta(seconds=85))
    Heartbeat.objects.filter(name="agent").update(at=now - timedelta(seconds=91))
    Heartbeat.objects.create(name="other", at=now - 5 * MINUTE)
    shown = lines(admin)
    assert told(shown["worker"]) == ("ready", "Works")
    assert told(shown["agent"]) == told(shown["other"]) == ("failed", "Silent")
    assert shown["other"].text == "Last seen 5 min ago."


def test_redis_may_be_away(admin: Client, well: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(redis, "_client", lambda: Redis.from_url("redis://127.0.0.1:1"))
    begun = time.monotonic()
    assert told(lines(admin)["Redis"]) == ("failed", "Not answering")
    assert time.monotonic() - begun < 10


@pytest.mark.usefixtures("standing_still")
def test_nodes_answer_are_silent_warn_or_are_closed(admin: Client, well: None) -> None:
    now = clock.now()

    def node(**changes: Any) -> Line:
        Node.objects.update(**changes)
        return lines(admin)["fake"]

    assert told(node()) == ("ready", "Answers")
    closed = node(cordoned_at=now - 2 * MINUTE, cordoned_because="New disks")
    assert told(closed) == ("missing", "Closed")
    assert "Closed 2 min ago (New disks): it takes nothing new." in closed.text
    warned = node(warning="Disk nearly full.")
    assert told(warned) == ("waiting", "Warning")
    assert "Disk nearly full." in warned.text
    assert told(node(seen_at=now - 3 * MINUTE)) == ("failed", "Not seen")
    away = node(unreachable_since=now - 2 * MINUTE)
    assert told(away) == ("failed", "Not answering")
    assert away.text.startswith("Not answering for 2 min. Last answered 3 min ago. Closed")


def test_failed_images_are_named_with_their_page(admin: Client, well: None) -> None:
    image = Image.objects.order_by("name")[0]
    Image.objects.filter(pk=image.pk).update(state="failed", failed_at=clock.now() - MINUTE, message="No such base.")
    line = lines(admin)[image.name]
    assert (line.state, line.text, line.url) == ("failed", "Failed 1 min ago. No such base.", f"/images/{image.name}/")
    Image.objects.bulk_create(Image(name=f"i-{number}", state="failed") for number in range(30))
    assert told(lines(admin)["11 more"]) == ("failed", "Failed")


def deliveries(user: Any, count: int, webhook: Webhook | None = None, **values: Any) -> None:
    for _ in range(count):
        subject = f"box-{Notice.objects.count()}"
        notice = Notice.objects.create(user=user, kind="job.failed", subject=subject, text="It failed.", path="/")
        channel = "webhook" if webhook else "mail"
        Delivery.objects.create(notice=notice, channel=channel, webhook=webhook, **values)


def test_messages_that_wait_or_were_given_up_are_counted(people: People, admin: Client, well: None) -> None:
    now = clock.now()
    deliveries(people.vera, 2)
    deliveries(people.vera, 3, state="failed", next_at=None, ended_at=now - timedelta(days=2))
    shown = lines(admin)
    assert told(shown["Waiting to be sent"]) == ("waiting", "2 waiting")
    assert told(shown["Given up"]) == ("missing", "None lately")
    deliveries(people.vera, 1, next_at=now - 11 * MINUTE)
    deliveries(people.vera, 1, state="failed", next_at=None, ended_at=now)
    shown = lines(admin)
    assert told(shown["Waiting to be sent"]) == ("failed", "3 waiting")
    assert told(shown["Given up"]) == ("failed", "1 given up")


def test_what_nobody_may_send_is_not_late(people: People, bo: Any, admin: Client, well: None) -> None:
    long_ago = clock.now() - timedelta(hours=1)
    off = Webhook.objects.create(user=people.vera, url="https://example.org/", kinds=["job.failed"], enabled=False)
    deliveries(people.vera, 1, off, next_at=long_ago)
    deliveries(bo, 1, next_at=long_ago)
    type(bo).objects.filter(pk=bo.pk).update(is_active=False)
    assert told(lines(admin)["Waiting to be sent"]) == ("waiting", "2 waiting")


def test_what_waits_for_a_place_is_counted(admin: Client, well: None, make_workspace: Callable[..., Any]) -> None:
    assert told(lines(admin)["In line"]) == ("ready", "Nobody waits")
    make_workspace()
    make_workspace()
    assert told(lines(admin)["In line"]) == ("waiting", "2 waiting")


def test_what_the_engine_is_silent_about_is_counted_by_node(
    admin: Client, well: None, make_workspace: Callable[..., Any], settle: Callable[..., None]
) -> None:
    make_workspace()
    make_workspace()
    settle()
    Allocation.objects.update(unknown_since=clock.now() - 3 * MINUTE)
    line = lines(admin)["State of what runs on fake"]
    assert told(line) == ("failed", "2 unknown")
    assert "for 3 min" in line.text


def test_looking_changes_nothing_and_asks_a_constant_number_of_questions(
    people: People, admin: Client, well: None, make_workspace: Callable[..., Any]
) -> None:
    def questions() -> int:
        with CaptureQueriesContext(connection) as asked:
            admin.get("/health/")
        assert not [query for query in asked if not query["sql"].startswith("SELECT")]
        return len(asked)

    few = questions()
    for _ in range(4):
        make_workspace()
    Image.objects.update(state="failed")
    deliveries(people.vera, 5)
    Heartbeat.objects.bulk_create(Heartbeat(name=f"p-{number}", at=clock.now()) for number in range(5))
    assert questions() == few <= 12
