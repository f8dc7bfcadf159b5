"""From the outbox to mailboxes and webhooks: each at least once, tried again, given up, never lost."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.core import mail
from django.db import IntegrityError, transaction

from portal.lib import clock
from portal.notices import actions, delivering, webhook_actions, webhooks
from portal.notices.delivering import deliver_due
from portal.notices.models import Delivery, Notice, Webhook
from portal.notices.states import LONGEST_WAIT, MOST_TRIES, DeliveryState, Kind, next_daily, wait_after
from tests.conftest import People
from tests.notices.receiver import Receiver, listening

pytestmark = pytest.mark.django_db
Tell = Callable[..., Notice]
Hook = Callable[..., tuple[Webhook, str]]
WAITING, SENT, FAILED = DeliveryState.WAITING, DeliveryState.SENT, DeliveryState.FAILED


def later(seconds: float) -> Any:
    return clock.shifted(timedelta(seconds=seconds))


def verified(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """As the how-to tells receivers to do it."""
    page = (settings.BASE_DIR / "docs" / "how-to" / "be-told-when-a-job-ends.md").read_text()
    [code] = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    known: dict[str, Any] = {}
    exec(code, known)
    return bool(known["is_from_berth"](secret, headers, body))


def test_the_signature_is_the_one_of_the_specification() -> None:
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    found = webhooks.signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_webhook_gets_what_happened_signed(tell: Tell, hook: Hook, receiver: Receiver) -> None:
    _, secret = hook(receiver.url)
    notice = tell(facts={"job": {"id": "1", "state": "failed"}})
    deliver_due()
    [got] = receiver.got
    assert (got.path, got.headers["content-type"], got.headers["webhook-id"]) == (
        "/hook",
        "application/json",
        notice.pk,
    )
    assert got.headers["host"] == receiver.host
    assert verified(secret, got.headers, got.body)
    assert not verified(secret, got.headers, got.body + b" ")
    assert abs(int(got.headers["webhook-timestamp"]) - clock.now().timestamp()) < 60
    assert got.json["type"] == "job.failed"
    assert datetime.fromisoformat(got.json["timestamp"]) == notice.created_at
    assert got.json["data"] == {
        "job": {"id": "1", "state": "failed"},
        "text": "Job train failed: exit code 1.",
        "url": "http://localhost:8000/jobs/1/",
    }
    assert Delivery.objects.get().state == SENT
    deliver_due()
    assert len(receiver.got) == 1


def test_what_is_told_twice_is_told_once(tell: Tell, hook: Hook, receiver: Receiver, people: People) -> None:
    hook(receiver.url)
    tell()
    tell()
    tell(people.luis)
    tell(subject="job-2")
    deliver_due()
    assert (Notice.objects.count(), len(receiver.got)) == (3, 2)


def test_what_is_rolled_back_is_not_told(tell: Tell, hook: Hook, receiver: Receiver) -> None:
    hook(receiver.url)
    with pytest.raises(RuntimeError), transaction.atomic():
        tell()
        raise RuntimeError
    assert not Notice.objects.exists() and not Delivery.objects.exists()


def test_only_the_chosen_kinds_are_sent(tell: Tell, hook: Hook, receiver: Receiver) -> None:
    hook(receiver.url, kinds=["sweep.finished"])
    tell()
    tell(kind=Kind.SWEEP_FINISHED, subject="sweep-1")
    deliver_due()
    assert [got.json["type"] for got in receiver.got] == ["sweep.finished"]


def test_after_an_error_it_is_tried_again_with_the_same_id(tell: Tell, hook: Hook, receiver: Receiver) -> None:
    _, secret = hook(receiver.url)
    receiver.answers = [500, 503, 200]
    tell()
    deliver_due()
    waiting = Delivery.objects.get()
    assert (waiting.state, waiting.tries, waiting.error) == (WAITING, 1, "It answered 500.")
    deliver_due()
    assert len(receiver.got) == 1
    with later(31):
        deliver_due()
    with later(31 + 59):
        deliver_due()
        assert len(receiver.got) == 2
    with later(31 + 61):
        deliver_due()
    done = Delivery.objects.get()
    assert (done.state, done.tries, done.error) == (SENT, 3, "")
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1
    assert len({got.body for got in receiver.got}) == 1
    assert all(verified(secret, got.headers, got.body) for got in receiver.got)


def test_after_a_refused_connection_it_is_tried_again(tell: Tell, hook: Hook, settings: Any) -> None:
    with listening() as gone:
        settings.WEBHOOK_HOSTS = ["127.0.0.1"]
        hook(gone.url)
    tell()
    deliver_due()
    assert Delivery.objects.get().error == "Nothing listens there."
    with listening(port=gone.port) as back, later(31):
        deliver_due()
        assert len(back.got) == 1
    assert Delivery.objects.get().state == SENT


def test_it_is_given_up_in_the_end_and_says_why(tell: Tell, hook: Hook, receiver: Receiver) -> None:
    webhook, _ = hook(receiver.url)
    receiver.answers = [404]
    tell()
    passed = 0.0
    for number in range(1, MOST_TRIES + 1):
        with later(passed):
            deliver_due()
        assert len(receiver.got) == number
        passed += LONGEST_WAIT.total_seconds() + 1
    given_up = Delivery.objects.get()
    assert (given_up.state, given_up.tries, given_up.error) == (FAILED, MOST_TRIES, "It answered 404.")
    with later(passed):
        deliver_due()
    assert len(receiver.got) == MOST_TRIES
    tell(subject="job-2")
    deliver_due()
    assert len(receiver.got) == MOST_TRIES + 1, "what comes after it has its own chance"
    assert webhook.deliveries.filter(state=WAITING).count() == 1


def test_the_pauses_double_up_to_an_hour() -> None:
    waits = [wait_after(tries) for tries in range(1, MOST_TRIES + 1)]
    seconds = [wait.total_seconds() for wait in waits[:-1] if wait]
    assert seconds[:4] == [30, 60, 120, 240]
    assert (max(seconds), waits[-1], 8 < sum(seconds) / 3600 < 10) == (3600, None, True)


def test_what_a_killed_worker_had_in_hand_is_sent_when_its_lease_is_over(
    tell: Tell, hook: Hook, receiver: Receiver
) -> None:
    hook(receiver.url)
    tell()
    assert len(delivering._claimed()) == 1, "and nobody goes on with it"
    deliver_due()
    assert receiver.got == []
    with later(61):
        deliver_due()
    assert (len(receiver.got), Delivery.objects.get().state) == (1, SENT)


def test_what_was_sent_and_not_noted_comes_again_with_the_same_id(tell: Tell, hook: Hook, receiver: Receiver) -> None:
    hook(receiver.url)
    tell()
    [[claimed]] = delivering._claimed()
    assert delivering._tried([claimed]) == ""
    with later(61):
        deliver_due()
    delivering._note(claimed, "It answered 500.", clock.now())
    assert [got.headers["webhook-id"] for got in receiver.got] == [claimed.notice_id] * 2
    done = Delivery.objects.get()
    assert (done.state, done.tries) == (SENT, 1), "the late note of the first changes nothing"


def test_a_bad_receiver_takes_one_place_of_each_round(
    tell: Tell, hook: Hook, receiver: Receiver, settings: Any, people: People
) -> None:
    with listening() as bad:
        settings.WEBHOOK_HOSTS = [bad.host, receiver.host]
        hook(bad.url)
    hook(receiver.url, user=people.oda)
    for number in range(40):
        tell(subject=f"job-{number}")
    tell(people.oda)
    first = delivering._claimed()
    assert sorted(one.webhook.url for [one] in first if one.webhook) == sorted([bad.url, receiver.url])


def test_many_are_sent_in_one_go_in_their_order(tell: Tell, hook: Hook, receiver: Receiver) -> None:
    hook(receiver.url)
    told = [tell(subject=f"job-{number}").pk for number in range(10)]
    deliver_due()
    assert [got.headers["webhook-id"] for got in receiver.got] == told


def test_one_that_is_off_gets_nothing_until_it_is_on_again(tell: Tell, hook: Hook, receiver: Receiver) -> None:
    webhook, _ = hook(receiver.url)
    tell()
    webhook_actions.switch(webhook, False, actor="vera")
    tell(subject="job-2")
    deliver_due()
    assert receiver.got == []
    webhook_actions.switch(webhook, True, actor="vera")
    deliver_due()
    assert len(receiver.got) == 1


def test_a_host_that_is_no_longer_allowed_is_not_asked(
    tell: Tell, hook: Hook, receiver: Receiver, settings: Any
) -> None:
    hook(receiver.url)
    tell()
    settings.WEBHOOK_HOSTS = []
    deliver_due()
    assert (receiver.got, Delivery.objects.get().error) == ([], "Use an address that begins with https://.")


def test_who_can_no_longer_sign_in_is_not_written_to(
    tell: Tell, hook: Hook, receiver: Receiver, people: People
) -> None:
    hook(receiver.url)
    tell()
    type(people.vera).objects.filter(pk=people.vera.pk).update(is_active=False)
    deliver_due()
    assert receiver.got == []


def test_a_mail_comes_only_of_what_was_chosen(tell: Tell, people: People) -> None:
    people.vera.email = "vera@example.org"
    people.vera.save(update_fields=["email"])
    tell()
    actions.choose_mail(people.vera, ["job.failed"], actor="vera")
    notice = tell(subject="job-2")
    tell(kind=Kind.JOB_SUCCEEDED)
    deliver_due()
    deliver_due()
    [sent] = mail.outbox
    assert (sent.to, sent.subject) == (["vera@example.org"], "Job train failed: exit code 1.")
    assert sent.body.startswith("Hello Vera,\n\nJob train failed: exit code 1. http://localhost:8000/jobs/1/\n")
    assert sent.extra_headers["Message-ID"] == f"<{notice.pk}@localhost>"


def test_without_an_address_no_mail_waits(tell: Tell, people: People) -> None:
    actions.choose_mail(people.vera, ["job.failed"], actor="vera")
    tell()
    assert not Delivery.objects.exists()


def test_a_mail_server_that_is_away_is_tried_again(tell: Tell, people: People, settings: Any) -> None:
    people.vera.email = "vera@example.org"
    people.vera.save(update_fields=["email"])
    actions.choose_mail(people.vera, ["job.failed"], actor="vera")
    tell()
    with listening() as gone:
        pass
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", gone.port
    deliver_due()
    waiting = Delivery.objects.get()
    assert (waiting.state, waiting.error) == (WAITING, "The mail server did not take it.")
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    with later(31):
        deliver_due()
    assert (len(mail.outbox), Delivery.objects.get().state) == (1, SENT)


def test_all_of_a_day_come_in_one_mail_for_who_wants_that(tell: Tell, people: People, settings: Any) -> None:
    people.vera.email = "vera@example.org"
    people.vera.save(update_fields=["email"])
    actions.choose_mail(people.vera, ["job.failed"], daily=True, actor="vera")
    morning = next_daily(clock.now().astimezone(UTC))
    with clock.shifted(morning - timedelta(minutes=1) - clock.now()):
        first, second = tell(), tell(subject="job-2")
        tell(kind=Kind.MESSAGE)
        deliver_due()
        assert [sent.subject for sent in mail.outbox] == ["Job train failed: exit code 1."], "what is urgent, at once"
    with clock.shifted(morning + timedelta(seconds=1) - clock.now()):
        third = tell(subject="job-3")
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
        deliver_due()
        settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    with clock.shifted(morning + timedelta(minutes=1) - clock.now()):
        deliver_due()
        _, sent = mail.outbox
        line = "Job train failed: exit code 1. http://localhost:8000/jobs/1/"
        assert (sent.subject, sent.body) == ("2 notices from Berth", f"Hello Vera,\n\n{line}\n\n{line}\n")
        assert set(Delivery.objects.filter(state=SENT, daily=True).values_list("notice", flat=True)) == {
            first.pk,
            second.pk,
        }
        assert Delivery.objects.get(notice=third).next_at == morning + timedelta(days=1)
    with clock.shifted(morning + timedelta(days=1, minutes=1) - clock.now()):
        deliver_due()
        assert mail.outbox[2].subject == "Job train failed: exit code 1."


def test_the_next_morning_is_today_or_tomorrow() -> None:
    six = datetime(2026, 3, 7, 6, tzinfo=UTC)
    assert next_daily(six - timedelta(seconds=1)) == six
    assert next_daily(six) == six + timedelta(days=1)


def test_a_subject_has_no_line_breaks(people: People) -> None:
    people.vera.email = "vera@example.org"
    people.vera.save(update_fields=["email"])
    actions.choose_mail(people.vera, ["job.failed"], actor="vera")
    actions.tell(people.vera, Kind.JOB_FAILED, "job-1", "It failed:\nBcc: x@example.org", "/jobs/1/")
    deliver_due()
    [sent] = mail.outbox
    assert sent.subject == "It failed: Bcc: x@example.org"


def test_the_tick_rings_only_when_something_is_due(
    tell: Tell, hook: Hook, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[str] = []
    monkeypatch.setattr(delivering, "ring", lambda task: rung.append(task.name))
    hook(receiver.url)
    delivering.ring_due()
    tell()
    delivering.ring_due()
    deliver_due()
    delivering.ring_due()
    assert rung == ["portal.notices.tasks.deliver"]


def test_old_notices_are_forgotten_with_their_deliveries(
    tell: Tell, hook: Hook, receiver: Receiver, settings: Any
) -> None:
    hook(receiver.url)
    settings.NOTICE_DAYS = 30
    tell()
    with clock.shifted(timedelta(days=29)):
        fresh = tell(subject="job-2")
        actions.forget_old()
        assert Notice.objects.count() == 2
    with clock.shifted(timedelta(days=31)):
        actions.forget_old()
    assert [notice.pk for notice in Notice.objects.all()] == [fresh.pk]
    assert Delivery.objects.count() == 1


def test_the_database_keeps_one_delivery_for_each_receiver(tell: Tell, hook: Hook, receiver: Receiver) -> None:
    webhook, _ = hook(receiver.url)
    notice = tell()
    Delivery.objects.create(notice=notice, channel="mail")
    for channel, to in (("mail", None), ("webhook", webhook)):
        with pytest.raises(IntegrityError), transaction.atomic():
            Delivery.objects.create(notice=notice, channel=channel, webhook=to)
    with pytest.raises(IntegrityError), transaction.atomic():
        Delivery.objects.filter(webhook=webhook).update(state=SENT)
