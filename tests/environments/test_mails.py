"""Mails of what people were given: to whom, with what in them, each once, and again when their message was lost."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail

from environments import actions, handover, mails, sharing
from environments.models import Handover, Share
from portal.lib import clock
from tests.conftest import People

pytestmark = pytest.mark.django_db
Commit = Callable[..., Any]


@pytest.fixture(autouse=True)
def _delivered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A doorbell that is heard at once."""
    monkeypatch.setattr(mails, "ring", lambda task, pk: task(pk))


@pytest.fixture
def running(make_workspace: Callable[..., Any], settle: Callable[..., None], people: People) -> Any:
    """Vera's, named study; Luis has an address."""
    people.luis.email = "luis@example.org"
    people.luis.save(update_fields=["email"])
    made = make_workspace(name="study")
    settle()
    made.refresh_from_db()
    return made


@pytest.fixture
def stopped(running: Any, settle: Callable[..., None]) -> Any:
    actions.stop(running, actor="vera")
    settle()
    running.refresh_from_db()
    return running


def test_who_it_is_shared_with_is_told_the_page_the_right_and_the_end(
    running: Any, django_capture_on_commit_callbacks: Commit
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        given = sharing.share(running, user="luis", right="use", actor="vera")
    [told] = mail.outbox
    assert (told.to, told.subject) == (["luis@example.org"], "Vera Rosén shares study with you")
    assert f"use it until {given.until:%-d %b %Y, %H:%M} UTC" in told.body
    assert f"http://localhost:8000/workspaces/{running.pk}/\n" in told.body
    mails.mail_share(given.pk)
    assert len(mail.outbox) == 1


def test_who_may_take_it_over_is_told_where(
    stopped: Any, people: People, django_capture_on_commit_callbacks: Commit
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        offered = handover.offer(stopped, "luis", people.vera)
    [told] = mail.outbox
    assert (told.to, told.subject) == (["luis@example.org"], "Vera Rosén offers you study")
    assert f"http://localhost:8000/workspaces/{stopped.pk}/take-over/\n" in told.body
    mails.mail_offer(offered.pk)
    assert len(mail.outbox) == 1


def test_teams_and_people_without_an_address_get_none(
    running: Any, bo: Any, django_capture_on_commit_callbacks: Commit
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        sharing.share(running, team="vision", right="view", actor="vera")
        sharing.share(running, user="bo", right="view", actor="vera")
    assert mail.outbox == []


def test_what_was_taken_back_before_is_not_told(stopped: Any, people: People) -> None:
    offered = handover.offer(stopped, "luis", people.vera)
    handover.withdraw(stopped, people.vera)
    mails.mail_offer(offered.pk)
    actions.start(stopped, actor="vera")
    given = sharing.share(stopped, user="luis", right="view", actor="vera")
    sharing.revoke(given, actor="vera")
    mails.mail_share(given.pk)
    assert mail.outbox == []


@pytest.mark.parametrize(("minutes", "count"), [(0.5, 0), (2, 1), (70, 0)])
def test_a_mail_whose_message_was_lost_is_sent_while_it_is_news(running: Any, minutes: float, count: int) -> None:
    sharing.share(running, user="luis", right="view", actor="vera")
    with clock.shifted(timedelta(minutes=minutes)):
        mails.ring_due()
        mails.ring_due()
    assert (len(mail.outbox), Share.objects.filter(mailed=True).count()) == (count, count)


def test_a_lost_mail_of_an_offer_is_sent_too(stopped: Any, people: People) -> None:
    handover.offer(stopped, "luis", people.vera)
    with clock.shifted(timedelta(minutes=2)):
        mails.ring_due()
    assert (len(mail.outbox), Handover.objects.get().mailed) == (1, True)
