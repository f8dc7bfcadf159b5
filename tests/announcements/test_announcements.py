"""What administrators tell everybody: who sees it and when, on pages and by the API."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from portal.announcements import access, actions
from portal.announcements.actions import Wording
from portal.announcements.models import Announcement
from portal.audit.models import AuditEvent
from portal.lib import clock
from portal.lib.errors import Conflict, Invalid
from tests.api.conftest import assert_problem
from tests.conftest import People

pytestmark = pytest.mark.django_db
SignIn = Callable[[Any], Client]
Caller = Callable[..., Any]


def announce(text: str = "New disks.", **more: Any) -> Announcement:
    return actions.announce(Wording(text, **more), actor="ada")


def shown(client: Client, path: str = "/tokens/") -> str:
    return " ".join(client.get(path).content.decode().split())


def at(**after: float) -> datetime:
    return clock.now() + timedelta(**after)


def field(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M}"


def test_everybody_who_is_signed_in_sees_it_on_every_page_while_it_counts(signed_in: SignIn, people: People) -> None:
    announce("New <script>disks</script>.", starts_at=at(hours=1), ends_at=at(hours=2))
    client = signed_in(people.oda)
    assert "New &lt;script&gt;" not in shown(client)
    with clock.shifted(timedelta(minutes=90)):
        for path in ("/", "/tokens/", "/announcements/banner/", "/nowhere/"):
            page = shown(client, path)
            assert "New &lt;script&gt;disks&lt;/script&gt;." in page and "<script>disks" not in page
        assert "disks" not in shown(Client(), "/sign-in/")
    with clock.shifted(timedelta(hours=2)):
        assert "disks" not in shown(client)


def test_one_that_is_public_stands_on_the_sign_in_page_too(signed_in: SignIn, people: People) -> None:
    announce("Sign in with the new name.", public=True)
    page = shown(Client(), "/sign-in/")
    assert "Sign in with the new name." in page and "Dismiss" not in page
    assert "Sign in with the new name." in shown(signed_in(people.vera))


def test_information_can_be_dismissed_by_each_for_themselves_a_warning_cannot(
    signed_in: SignIn, people: People
) -> None:
    info, warning = announce(), announce("Save your work.", level="warning")
    client = signed_in(people.vera)
    assert shown(client).count("Dismiss<") == 1
    path = f"/announcements/{info.pk}/dismiss/"
    assert client.get(path).status_code == 405
    assert Client().post(path).status_code == 302 and "New disks." in shown(client)
    assert client.post(path)["Location"] == "/"
    fragment = client.post(path, headers={"HX-Request": "true"}).content.decode()
    assert "Save your work." in fragment and "New disks." not in fragment and "<html" not in fragment
    assert client.post(f"/announcements/{warning.pk}/dismiss/").status_code == 409
    assert "New disks." in shown(signed_in(people.luis))


def test_a_text_that_changes_is_shown_again(signed_in: SignIn, people: People) -> None:
    info = announce()
    actions.dismiss(info, people.vera)
    actions.change(info, Wording("New disks.", ends_at=at(hours=1)), actor="ada")
    assert not access.shown_to(people.vera).exists()
    for said in (Wording("New disks, and faster."), Wording("New disks, and faster.", level="warning")):
        actions.change(info, said, actor="ada")
        assert access.shown_to(people.vera).exists()
        info.dismissed_by.add(people.vera)


def test_administrators_publish_change_and_end_on_the_page(signed_in: SignIn, people: People) -> None:
    admin = signed_in(people.ada)
    sent = {"text": "New disks.", "level": "info", "public": "on"}
    assert admin.post("/announcements/", sent)["Location"] == "/announcements/"
    made = Announcement.objects.get()
    page = shown(admin, "/announcements/")
    assert "also on the sign-in page" in page and "Active" in page
    edit = f"/announcements/{made.pk}/"
    assert "New disks.</textarea>" in shown(admin, edit)
    later = sent | {"starts_at": field(at(hours=3)), "ends_at": field(at(hours=5)), "maintenance": "on"}
    assert admin.post(edit, later).status_code == 302
    made.refresh_from_db()
    assert (made.maintenance, made.state) == (True, "scheduled")
    assert admin.get(f"{edit}end/").status_code == 405
    for _ in range(2):
        assert admin.post(f"{edit}end/").status_code == 302
    made.refresh_from_db()
    assert made.state == "expired"
    assert admin.post(edit, later).status_code == 409
    verbs = AuditEvent.objects.filter(target=made.topic, actor="ada").values_list("verb", flat=True)
    assert list(verbs) == ["announcement.publish", "announcement.change", "announcement.end"]
    assert admin.get("/announcements/nothing/").status_code == 404


def test_nobody_else_publishes_changes_or_ends(signed_in: SignIn, people: People) -> None:
    made = announce()
    for user in (people.vera, people.luis, people.oda):
        client = signed_in(user)
        assert client.get("/announcements/").status_code == 403
        for path in ("", f"{made.pk}/", f"{made.pk}/end/"):
            assert client.post(f"/announcements/{path}", {"text": "Free GPUs!", "level": "info"}).status_code == 403
    assert Client().get("/announcements/").status_code == 302
    made.refresh_from_db()
    assert (made.text, made.state, Announcement.objects.count()) == ("New disks.", "active", 1)


def test_wrong_times_are_refused_beside_their_field(signed_in: SignIn, people: People) -> None:
    admin = signed_in(people.ada)
    wrong: list[dict[str, str]] = [
        {"ends_at": "soon"},
        {"ends_at": "9999-12-31T23:59"},
        {"starts_at": "0001-01-01T00:00", "ends_at": "0001-01-01T00:01"},
        {"starts_at": field(at(hours=2)), "ends_at": field(at(hours=1))},
        {"starts_at": field(at(days=400))},
        {"maintenance": "on"},
        {"text": " "},
        {"level": "loud"},
    ]
    for change in wrong:
        answer = admin.post("/announcements/", {"text": "New disks.", "level": "info"} | change)
        assert answer.status_code == 422, change
        assert 'aria-invalid="true"' in answer.content.decode()
    assert not Announcement.objects.exists()


@pytest.mark.parametrize("wanted", [{"ends_at": timedelta(0)}, {"maintenance": True}, {"level": "loud"}])
def test_actions_refuse_what_the_form_would(db: None, wanted: dict[str, Any]) -> None:
    moments = {name: clock.now() + value for name, value in wanted.items() if isinstance(value, timedelta)}
    with pytest.raises(Invalid):
        announce(**(wanted | moments))


def test_what_is_over_cannot_be_changed(db: None) -> None:
    made = announce(ends_at=at(hours=1))
    with clock.shifted(timedelta(hours=1)):
        with pytest.raises(Conflict):
            actions.change(made, Wording("Again."), actor="ada")
        actions.end(made, actor="ada")
    made.refresh_from_db()
    assert made.ended_at is None


def test_windows_that_overlap_or_touch_are_one_maintenance(db: None) -> None:
    start = clock.now()
    for first, last in ((0, 2), (1, 3), (3, 4), (5, 6)):
        announce(maintenance=True, starts_at=start + timedelta(hours=first), ends_at=start + timedelta(hours=last))
    assert access.maintenance_until() == start + timedelta(hours=4)
    with clock.shifted(timedelta(hours=4, minutes=1)):
        assert access.maintenance() == ""
    with clock.shifted(timedelta(hours=5, minutes=1)):
        assert access.maintenance_until() == start + timedelta(hours=6)


def test_the_list_has_pages_and_asks_as_often_however_many_there_are(
    signed_in: SignIn, people: People, django_assert_max_num_queries: Any
) -> None:
    admin = signed_in(people.ada)
    announce()
    shown(admin, "/announcements/")
    with django_assert_max_num_queries(12) as few:
        shown(admin, "/announcements/")
    for number in range(30):
        announce(f"Number {number}.")
    with django_assert_max_num_queries(len(few)):
        assert "Page 1 of 2" in shown(admin, "/announcements/")


def test_the_api_tells_everybody_what_counts_and_lets_administrators_write(caller: Caller, people: People) -> None:
    ada, vera = caller(people.ada), caller(people.vera, scopes=("usage:read",))
    body = {"text": "New disks.", "maintenance": True, "ends_at": at(hours=2).isoformat()}
    made = ada.post("/announcements/", body, **{"Idempotency-Key": "disks"}).json()
    assert ada.post("/announcements/", body, **{"Idempotency-Key": "disks"}).json() == made
    assert (made["state"], made["level"], made["maintenance"]) == ("active", "info", True)
    assert [one["id"] for one in vera.get("/announcements/").json()["results"]] == [made["id"]]
    path = f"/announcements/{made['id']}/"
    assert ada.patch(path, {"text": "Newer disks."}).json()["ends_at"] == made["ends_at"]
    assert_problem(ada.patch(path, {"ends_at": None}), 422, "ends_at")
    assert_problem(ada.post("/announcements/", {"text": "x", "colour": "red"}), 422, "colour")
    assert_problem(ada.post("/announcements/", {"text": "x", "ends_at": "soon"}), 422, "ends_at")
    assert ada.post(f"{path}end/").json()["state"] == "expired"
    assert_problem(ada.patch(path, {"text": "x"}), 409)
    assert vera.get("/announcements/").json()["results"] == []
    assert len(ada.get("/announcements/?all=true").json()["results"]) == 1
    assert_problem(ada.post("/announcements/01ARZ3NDEKTSV4RRFFQ69G5FAV/end/"), 404)


def test_the_api_refuses_everybody_else(caller: Caller, people: People) -> None:
    made = announce()
    luis = caller(people.luis)
    assert_problem(luis.get("/announcements/?all=true"), 403)
    assert_problem(luis.post("/announcements/", {"text": "Free GPUs!"}), 403)
    assert_problem(luis.patch(f"/announcements/{made.pk}/", {"text": "Free GPUs!"}), 403)
    assert_problem(luis.post(f"/announcements/{made.pk}/end/"), 403)
    assert_problem(caller(people.ada, scopes=("admin:read",)).post("/announcements/", {"text": "x"}), 403)
