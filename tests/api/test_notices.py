"""Notices and webhooks through the API: a person's own, from being told to being tested."""

from collections.abc import Callable
from typing import Any

import pytest

from portal.notices import actions, webhook_actions
from portal.notices.delivering import deliver_due
from portal.notices.models import Notice, Webhook
from portal.notices.states import Kind
from tests.api.conftest import Caller, assert_problem
from tests.conftest import People
from tests.notices.receiver import listening

UNKNOWN = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
HOOK = {"url": "https://hooks.example.org/berth", "kinds": ["job.failed"]}


def tell(user: Any, number: int = 1) -> Notice:
    actions.tell(user, Kind.JOB_FAILED, f"job-{number}", "Job train failed: 1.", "/jobs/1/", {"job": {"id": "1"}})
    return Notice.objects.get(user=user, subject=f"job-{number}")


def test_notices_are_listed_and_marked_as_read(vera: Caller, people: People) -> None:
    first, second = tell(people.vera), tell(people.vera, 2)
    tell(people.oda)
    listed = vera.get("/notices/").json()["results"]
    assert [one["id"] for one in listed] == [second.pk, first.pk]
    assert set(listed[0]) == {"id", "kind", "text", "path", "facts", "created_at", "read_at"}
    assert (listed[0]["kind"], listed[0]["facts"]) == ("job.failed", {"job": {"id": "1"}})
    assert vera.post("/notices/read/", {"ids": [first.pk.lower(), UNKNOWN]}).json() == {"unread": 1}
    assert [one["id"] for one in vera.get("/notices/?unread=true").json()["results"]] == [second.pk]
    assert vera.post("/notices/read/", {}).json() == {"unread": 0}
    assert Notice.objects.get(user=people.oda).read_at is None


def test_the_list_has_pages_and_asks_as_often_for_many_as_for_one(
    vera: Caller, people: People, django_assert_max_num_queries: Any
) -> None:
    tell(people.vera)
    vera.get("/notices/")
    with django_assert_max_num_queries(6) as few:
        vera.get("/notices/")
    for number in range(2, 31):
        tell(people.vera, number)
    with django_assert_max_num_queries(len(few)):
        page = vera.get("/notices/?limit=20").json()
    assert (len(page["results"]), bool(page["next"])) == (20, True)


def test_mail_is_chosen(vera: Caller) -> None:
    assert vera.get("/notices/mail/").json() == {"kinds": [], "daily": False}
    chosen = vera.send("PUT", "/notices/mail/", {"kinds": ["sweep.finished", "job.failed"]})
    now = {"kinds": ["job.failed", "sweep.finished"], "daily": False}
    assert chosen.json() == now == vera.get("/notices/mail/").json()
    daily = vera.send("PUT", "/notices/mail/", {"kinds": ["job.failed"], "daily": True})
    assert daily.json() == {"kinds": ["job.failed"], "daily": True}
    assert_problem(vera.send("PUT", "/notices/mail/", {"kinds": ["webhook.test"]}), 422, "kinds.0")


def test_a_webhook_lives_from_add_to_delete(vera: Caller, settings: Any) -> None:
    with listening() as receiver:
        settings.WEBHOOK_HOSTS = [receiver.host]
        made = vera.post("/webhooks/", {"url": receiver.url, "kinds": ["job.failed"]})
        assert made.status_code == 201
        webhook = made.json()
        assert webhook.pop("secret").startswith("whsec_")
        assert webhook["latest"] == [] and vera.get("/webhooks/").json()["results"] == [webhook]
        asked = vera.post(f"/webhooks/{webhook['id'].lower()}/test/")
        assert (asked.status_code, asked.json()["latest"][0]["state"]) == (202, "waiting")
        assert_problem(vera.post(f"/webhooks/{webhook['id']}/test/"), 409)
        deliver_due()
        [latest] = vera.get("/webhooks/").json()["results"][0]["latest"]
        assert (latest["state"], latest["kind"], latest["tries"], latest["error"]) == ("sent", "webhook.test", 1, "")
        assert latest["id"] == receiver.got[0].headers["webhook-id"]
    assert vera.patch(f"/webhooks/{webhook['id']}/", {"enabled": False}).json()["enabled"] is False
    assert_problem(vera.post(f"/webhooks/{webhook['id']}/test/"), 409)
    assert vera.get("/notices/").json()["results"] == [], "a test is no news"
    assert vera.delete(f"/webhooks/{webhook['id']}/").status_code == 204
    assert_problem(vera.delete(f"/webhooks/{webhook['id']}/"), 404)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url kinds"),
        ({**HOOK, "url": "http://example.org/"}, "url"),
        ({**HOOK, "url": "https://127.0.0.1/"}, "url"),
        ({**HOOK, "url": "https://[::ffff:169.254.169.254]/"}, "url"),
        ({**HOOK, "url": "https://u:p@example.org/"}, "url"),
        ({**HOOK, "url": "https://example.org/" + "x" * 500}, "url"),
        ({**HOOK, "url": 7}, "url"),
        ({**HOOK, "kinds": []}, "kinds"),
        ({**HOOK, "kinds": ["webhook.test"]}, "kinds.0"),
        ({**HOOK, "secret": "whsec_mine"}, "secret"),
    ],
)
def test_a_bad_body_names_its_field(vera: Caller, body: dict[str, Any], field: str) -> None:
    assert_problem(vera.post("/webhooks/", body), 422, *field.split())
    assert not Webhook.objects.exists()


def test_there_is_one_for_each_address_and_ten_in_all(vera: Caller) -> None:
    assert vera.post("/webhooks/", HOOK).status_code == 201
    assert_problem(vera.post("/webhooks/", HOOK), 422, "url")
    for number in range(1, webhook_actions.MOST):
        assert vera.post("/webhooks/", {**HOOK, "url": f"https://example.org/{number}"}).status_code == 201
    assert_problem(vera.post("/webhooks/", {**HOOK, "url": "https://example.org/more"}), 422, "url")


def test_those_of_others_are_unknown(vera: Caller, people: People, caller: Callable[..., Caller]) -> None:
    pk = vera.post("/webhooks/", HOOK).json()["id"]
    for other in (caller(people.luis), caller(people.oda), caller(people.ada)):
        assert other.get("/webhooks/").json()["results"] == []
        assert_problem(other.patch(f"/webhooks/{pk}/", {"enabled": False}), 404)
        assert_problem(other.post(f"/webhooks/{pk}/test/"), 404)
        assert_problem(other.delete(f"/webhooks/{pk}/"), 404)
        assert other.post("/webhooks/", HOOK).status_code == 201
    assert Webhook.objects.get(pk=pk).enabled


def test_scopes_are_those_of_jobs(vera: Caller, people: People, caller: Callable[..., Caller]) -> None:
    pk = vera.post("/webhooks/", HOOK).json()["id"]
    reader, stranger = caller(people.vera, ("jobs:read",)), caller(people.vera, ("workspaces:write",))
    for path in ("/notices/", "/notices/mail/", "/webhooks/"):
        assert reader.get(path).status_code == 200
        assert_problem(stranger.get(path), 403)
    for path in ("/notices/read/", "/webhooks/", f"/webhooks/{pk}/test/"):
        assert_problem(reader.post(path, {}), 403)
    assert_problem(reader.delete(f"/webhooks/{pk}/"), 403)
    assert_problem(Caller("").get("/notices/"), 401)
