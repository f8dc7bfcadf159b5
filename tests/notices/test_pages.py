"""Pages of notices and webhooks: the bell, reading, choosing mail, and webhooks from adding to deleting."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest
from django.test import Client

from portal.accounts import vault
from portal.audit.models import AuditEvent
from portal.live import topics
from portal.notices import access, delivering
from portal.notices.models import Delivery, Notice, Webhook
from tests.conftest import People
from tests.notices.receiver import Receiver

pytestmark = pytest.mark.django_db
SignIn = Callable[[Any], Client]
Tell = Callable[..., Notice]
Hook = Callable[..., tuple[Webhook, str]]


def text(response: Any) -> str:
    return str(response.content.decode())


def test_the_bell_counts_what_is_unread_and_each_is_read_by_its_button(
    signed_in: SignIn, people: People, tell: Tell
) -> None:
    first, second = tell(), tell(subject="job-2")
    tell(people.luis)
    client = signed_in(people.vera)
    assert "2 unread notices" in text(client.get("/workspaces/"))
    page = text(client.get("/notices/"))
    assert page.count("Unread · ") == 2 and '<a class="row-link unread"' in page and 'href="/jobs/1/"' in page
    assert Notice.objects.filter(read_at=None).count() == 3, "looking changes nothing"
    assert client.post("/notices/read/", {"id": first.pk}).status_code == 302
    bell = text(client.get("/notices/bell/"))
    assert "1 unread notice" in bell and "<html" not in bell
    assert client.post("/notices/read/").status_code == 302
    assert "0 unread notices" in text(client.get("/notices/bell/"))
    second.refresh_from_db()
    assert second.read_at is not None
    assert Notice.objects.get(user=people.luis).read_at is None


def test_nobody_reads_or_marks_those_of_others(signed_in: SignIn, people: People, tell: Tell) -> None:
    notice = tell()
    for user in (people.luis, people.oda, people.ada):
        client = signed_in(user)
        assert "Job train failed" not in text(client.get("/notices/"))
        client.post("/notices/read/", {"id": notice.pk})
    notice.refresh_from_db()
    assert notice.read_at is None
    assert Client().get("/notices/").status_code == 302


def test_every_page_follows_the_bell(signed_in: SignIn, people: People) -> None:
    client = signed_in(people.vera)
    for path in ("/tokens/", "/jobs/"):
        page = text(client.get(path))
        tokens = map(unquote, re.findall(r"/live/\?topics=([^\"&]+)\"", page))
        followed = [topics.read(people.vera.pk, token) for token in tokens]
        assert followed and all(access.topic(people.vera.pk) in names for names in followed)


def test_a_long_list_has_pages_and_asks_as_often_as_a_short_one(
    signed_in: SignIn, people: People, tell: Tell, django_assert_max_num_queries: Any
) -> None:
    tell()
    client = signed_in(people.vera)
    client.get("/notices/")
    with django_assert_max_num_queries(10) as few:
        client.get("/notices/")
    for number in range(2, 31):
        tell(subject=f"job-{number}")
    with django_assert_max_num_queries(len(few)):
        page = text(client.get("/notices/"))
    assert "Page 1 of 2" in page
    assert text(client.get("/notices/?page=2")).count('<li class="row-item notice-row">') == 5


def test_mail_is_chosen_on_the_page_by_who_has_an_address(signed_in: SignIn, people: People) -> None:
    client = signed_in(people.vera)
    assert "knows no mail address" in text(client.get("/notices/"))
    people.vera.email = "vera@example.org"
    people.vera.save(update_fields=["email"])
    client.post("/notices/mail/", {"kinds": ["job.failed", "sweep.finished"]})
    page = text(client.get("/notices/"))
    assert re.findall(r'value="([a-z.]+)"[^>]* checked', page) == ["job.failed", "sweep.finished"]
    client.post("/notices/mail/", {"kinds": ["nonsense"]})
    assert access.mail_choice(people.vera) == access.MailChoice(["job.failed", "sweep.finished"])
    client.post("/notices/mail/", {"kinds": ["job.failed"], "daily": "on"})
    assert access.mail_choice(people.vera) == access.MailChoice(["job.failed"], daily=True)
    assert re.search(r'name="daily"[^>]*checked', text(client.get("/notices/")))
    client.post("/notices/mail/")
    assert access.mail_choice(people.vera) == access.MailChoice([])
    assert AuditEvent.objects.filter(verb="notices.mail").count() == 3


def test_a_mail_that_was_given_up_is_said_beside_its_notice(signed_in: SignIn, people: People, tell: Tell) -> None:
    from portal.lib import clock

    Delivery.objects.create(notice=tell(), channel="mail", state="failed", next_at=None, ended_at=clock.now())
    assert "could not be sent" in text(signed_in(people.vera).get("/notices/"))


def test_a_webhook_is_added_tested_switched_and_deleted(signed_in: SignIn, people: People, receiver: Receiver) -> None:
    client = signed_in(people.vera)
    assert "No webhook yet" in text(client.get("/webhooks/"))
    made = client.post("/webhooks/", {"url": receiver.url, "kinds": ["job.failed"]})
    [secret] = re.findall(r'value="(whsec_[^"]+)"', text(made))
    assert made["Cache-Control"] == "no-store"
    assert "whsec_" not in text(client.get("/webhooks/")), "it is shown once"
    webhook = Webhook.objects.get()
    assert secret.encode() not in bytes(webhook.sealed) and vault.value_of(webhook).decode() == secret
    client.post(f"/webhooks/{webhook.pk}/test/")
    again = client.post(f"/webhooks/{webhook.pk}/test/", follow=True)
    assert "A test is on its way already." in text(again)
    delivering.deliver_due()
    assert [got.json["type"] for got in receiver.got] == ["webhook.test"]
    assert "webhook.test, " in text(client.get("/webhooks/"))
    assert access.unread(people.vera) == 0
    client.post(f"/webhooks/{webhook.pk}/switch/", {"enabled": "no"})
    assert "Switch it on first" in text(client.post(f"/webhooks/{webhook.pk}/test/", follow=True))
    client.post(f"/webhooks/{webhook.pk}/switch/", {"enabled": "yes"})
    client.post(f"/webhooks/{webhook.pk}/delete/")
    assert not Webhook.objects.exists() and not Delivery.objects.exists()
    verbs = AuditEvent.objects.filter(target=f"webhook-{webhook.pk}").order_by("id").values_list("verb", flat=True)
    assert list(verbs) == ["webhook.add", "webhook.test", "webhook.disable", "webhook.enable", "webhook.delete"]
    assert secret not in str(list(AuditEvent.objects.values_list("after", flat=True)))


def test_the_owner_sees_what_goes_wrong(
    signed_in: SignIn, people: People, tell: Tell, hook: Hook, receiver: Receiver
) -> None:
    hook(receiver.url)
    receiver.answers = [500]
    tell()
    delivering.deliver_due()
    page = text(signed_in(people.vera).get("/webhooks/"))
    assert "It answered 500. 1 try so far, the next" in page
    Delivery.objects.update(state="failed", next_at=None, ended_at=Delivery.objects.get().next_at)
    assert "Given up" in text(signed_in(people.vera).get("/webhooks/"))


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"url": "http://example.org/", "kinds": ["job.failed"]}, "begins with https://"),
        ({"url": "https://169.254.169.254/", "kinds": ["job.failed"]}, "not lead to a public address"),
        ({"url": "https://example.org/"}, "This field is required"),
        ({"url": "https://example.org/", "kinds": ["webhook.test"]}, "Select a valid choice"),
    ],
)
def test_what_is_refused_is_said_beside_its_field(
    signed_in: SignIn, people: People, body: dict[str, Any], sentence: str
) -> None:
    refused = signed_in(people.vera).post("/webhooks/", body)
    assert (refused.status_code, sentence in text(refused)) == (422, True)
    assert not Webhook.objects.exists()


def test_webhooks_of_others_are_unknown(signed_in: SignIn, people: People, hook: Hook, receiver: Receiver) -> None:
    webhook, _ = hook(receiver.url)
    for user in (people.luis, people.oda, people.ada):
        client = signed_in(user)
        assert webhook.host not in text(client.get("/webhooks/"))
        for what in ("test", "switch", "delete"):
            assert client.post(f"/webhooks/{webhook.pk}/{what}/").status_code == 404
            assert client.get(f"/webhooks/{webhook.pk}/{what}/").status_code == 405
    assert Webhook.objects.get().enabled and not Delivery.objects.exists()


def test_the_list_of_webhooks_asks_as_often_for_many_as_for_one(
    signed_in: SignIn, people: People, tell: Tell, hook: Hook, receiver: Receiver, django_assert_max_num_queries: Any
) -> None:
    hook(receiver.url)
    tell()
    client = signed_in(people.vera)
    client.get("/webhooks/")
    with django_assert_max_num_queries(10) as few:
        client.get("/webhooks/")
    for number in range(9):
        hook(f"{receiver.url}/{number}")
    for number in range(10):
        tell(subject=f"job-{number}")
    with django_assert_max_num_queries(len(few)):
        page = text(client.get("/webhooks/"))
    assert page.count("job.failed, ") >= 50
