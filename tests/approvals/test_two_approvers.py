"""From so many devices on two people approve, and never one of them twice."""

from collections.abc import Callable
from datetime import timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from portal.accounts.models import User
from portal.audit.models import AuditEvent
from portal.invariants import violations
from portal.lib import clock
from portal.lib.errors import Conflict
from portal.notices.actions import choose_mail
from portal.notices.models import Delivery
from portal.quotas import access, actions
from portal.quotas.models import GpuClass, Grant, QuotaRequest
from tests.api.conftest import Caller, assert_problem, caller  # noqa: F401
from tests.approvals.conftest import SignIn, asked, decide, told
from tests.conftest import People

pytestmark = pytest.mark.django_db


@pytest.fixture
def big(people: People, wish: QuotaRequest) -> QuotaRequest:
    """Vera asks for four A100, of which two must approve three or more."""
    GpuClass.objects.update(two_approvers_from=3)
    QuotaRequest.objects.update(count=4)
    wish.refresh_from_db()
    return wish


@pytest.fixture
def once(people: People, big: QuotaRequest, signed_in: SignIn) -> QuotaRequest:
    """Luis approved it first."""
    assert decide(signed_in(people.luis), big, "approve", note="For the review.").status_code == 302
    big.refresh_from_db()
    return big


def page_of(signed_in: SignIn, user: Any, wish: QuotaRequest) -> str:
    return " ".join(signed_in(user).get(f"/quota/requests/{wish.pk}/").content.decode().split())


def test_the_first_approval_grants_nothing_and_the_second_all(
    people: People, big: QuotaRequest, signed_in: SignIn
) -> None:
    choose_mail(User.objects.get(pk=people.ada.pk), ["quota.asked"], actor="ada")
    User.objects.filter(pk=people.ada.pk).update(email="ada@example.org")
    assert "Needs two of</dt> <dd> Ada Admin, Luis Okafor" in page_of(signed_in, people.ada, big)
    decide(signed_in(people.luis), big, "approve", note="For the review.")
    big.refresh_from_db()
    assert (big.state, big.first_by, big.first_count, big.decided_by) == ("approved_once", people.luis, 4, None)
    assert not Grant.objects.exists()
    second = told(people.ada)[-1]
    assert second.startswith("Luis Okafor approved 4 × A100 until ")
    assert second.endswith(" for Vera Rosén. It needs a second approval. For the review.")
    assert Delivery.objects.get().notice.text == second
    assert told(people.luis) == ["Vera Rosén asks for 1 × A100: Ablations for the review."]
    assert told(people.vera)[-1].endswith("So many need a second approval, which it waits for now.")
    for user in (people.vera, people.ada, people.luis):
        assert "4 until " in page_of(signed_in, user, big)
    assert "1 waits for you" in signed_in(people.ada).get("/approvals/").content.decode()
    assert "Nothing waits for you" in signed_in(people.luis).get("/approvals/").content.decode()
    assert ">Confirm</button>" in page_of(signed_in, people.ada, big)
    assert decide(signed_in(people.ada), big, "approve", count=4, note="Agreed.").status_code == 302
    big.refresh_from_db()
    assert (big.state, big.first_by, big.decided_by, big.grant.count) == ("approved", people.luis, people.ada, 4)
    granted = told(people.vera)[-1]
    assert granted.startswith("Luis Okafor and Ada Admin granted 4 × A100 until ")
    assert granted.endswith(". For the review. Agreed.")
    assert violations() == []
    first, confirmed = AuditEvent.objects.filter(target=big.topic, verb__startswith="quota.approved").order_by("id")
    assert (first.actor, first.verb, first.after["first"]["by"]) == ("luis", "quota.approved_once", "luis")
    assert first.after["first"]["count"] == 4
    assert (confirmed.actor, confirmed.verb, confirmed.before["state"]) == ("ada", "quota.approved", "approved_once")


def test_who_approved_first_does_not_confirm(people: People, once: QuotaRequest, signed_in: SignIn) -> None:
    luis = signed_in(people.luis)
    answer = decide(luis, once, "approve")
    assert answer.status_code == 403
    assert "somebody else must confirm it" in answer.content.decode()
    assert "Approve other terms</button>" in page_of(signed_in, people.luis, once)
    for column in ("decided_by", "requester"):
        with pytest.raises(IntegrityError, match="request_has_two_approvers"), transaction.atomic():
            QuotaRequest.objects.update(**{column: people.luis})
    assert not Grant.objects.exists()


def test_the_button_pressed_twice_approves_once(people: People, big: QuotaRequest, signed_in: SignIn) -> None:
    luis = signed_in(people.luis)
    assert decide(luis, big, "approve").status_code == 302
    again = decide(luis, big, "approve")
    assert again.status_code == 409
    assert "Luis Okafor approved first; somebody else must confirm it." in again.content.decode()
    assert AuditEvent.objects.filter(verb="quota.approved_once").count() == 1
    assert not Grant.objects.exists()


def test_other_terms_begin_anew(people: People, once: QuotaRequest, signed_in: SignIn) -> None:
    assert decide(signed_in(people.ada), once, "approve", count=3).status_code == 302
    once.refresh_from_db()
    assert (once.state, once.first_by, once.first_count) == ("approved_once", people.ada, 3)
    assert not Grant.objects.exists()
    assert told(people.luis)[-1].startswith("Ada Admin approved 3 × A100 until ")
    assert decide(signed_in(people.luis), once, "approve", count=3).status_code == 302
    once.refresh_from_db()
    assert (once.state, once.grant.count) == ("partly_approved", 3)


def test_fewer_than_need_two_are_one_persons_to_give(people: People, once: QuotaRequest, signed_in: SignIn) -> None:
    assert decide(signed_in(people.luis), once, "approve", count=2).status_code == 302
    once.refresh_from_db()
    assert (once.state, once.first_by, once.decided_by, once.grant.count) == ("partly_approved", None, people.luis, 2)


@pytest.mark.parametrize("do", ["deny", "ask"])
def test_the_second_may_deny_or_ask_instead(people: People, once: QuotaRequest, signed_in: SignIn, do: str) -> None:
    assert decide(signed_in(people.ada), once, do, note="Are two enough?").status_code == 302
    once.refresh_from_db()
    assert (once.state, once.first_by) == ({"deny": "denied", "ask": "needs_info"}[do], None)
    assert decide(signed_in(people.luis), once, "approve").status_code == (409 if do == "deny" else 302)
    assert not Grant.objects.exists()


def test_of_two_who_confirm_at_once_one_wins(people: People, once: QuotaRequest, signed_in: SignIn, bo: Any) -> None:
    User.objects.filter(pk=bo.pk).update(is_staff=True)
    first, second = signed_in(people.ada), signed_in(bo)
    assert decide(first, once, "approve").status_code == 302
    answer = decide(second, once, "approve")
    assert answer.status_code == 409
    assert "Ada Admin decided first: approved." in answer.content.decode()
    assert Grant.objects.count() == 1
    assert AuditEvent.objects.filter(verb="quota.approved").count() == 1


def approved_at_once(*pairs: tuple[str, QuotaRequest]) -> list[str]:
    """What each of these people made of each of these requests, or why not, in alphabetical order."""
    said: list[str] = []
    barrier = Barrier(len(pairs))

    def approve(user: User, wish: QuotaRequest) -> None:
        mine = access.request_for(user, wish.pk)
        barrier.wait()
        try:
            said.append(actions.approve(mine, mine.version, by=user).state)
        except Conflict as problem:
            said.append(problem.code)
        finally:
            connection.close()

    threads = [Thread(target=approve, args=[User.objects.get(username=name), wish]) for name, wish in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(said)


@pytest.mark.django_db(transaction=True)
def test_at_the_same_moment_one_wins_too(people: People, once: QuotaRequest, bo: Any) -> None:
    User.objects.filter(pk=bo.pk).update(is_staff=True)
    assert approved_at_once(("ada", once), ("bo", once)) == ["approved", "decided"]
    assert Grant.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("personal", [True, False])
def test_two_parts_approved_at_the_same_moment_count_together(
    people: People, wish: QuotaRequest, signed_in: SignIn, bo: Any, personal: bool
) -> None:
    GpuClass.objects.update(two_approvers_from=2)
    User.objects.filter(pk=bo.pk).update(is_staff=True)
    asked(signed_in(people.vera))
    QuotaRequest.objects.update(personal=personal)
    parts = QuotaRequest.objects.order_by("pk")
    assert approved_at_once(("ada", parts[0]), ("bo", parts[1])) == ["approved", "approved_once"]
    assert Grant.objects.count() == 1


def test_what_was_asked_in_parts_counts_together(people: People, wish: QuotaRequest, signed_in: SignIn) -> None:
    GpuClass.objects.update(two_approvers_from=2)
    luis = signed_in(people.luis)
    assert decide(luis, wish, "approve").status_code == 302
    asked(signed_in(people.vera))
    more = QuotaRequest.objects.latest("created_at")
    assert decide(luis, more, "approve").status_code == 302
    more.refresh_from_db()
    assert more.state == "approved_once"


def test_with_nobody_to_confirm_it_says_so_at_once(people: People, big: QuotaRequest, signed_in: SignIn) -> None:
    User.objects.filter(pk=people.ada.pk).update(is_active=False)
    answer = decide(signed_in(people.luis), big, "approve")
    assert answer.status_code == 422
    assert "nobody but you may decide about this" in answer.content.decode()


def test_it_is_withdrawn_or_expires_while_it_waits(people: People, once: QuotaRequest, signed_in: SignIn) -> None:
    with clock.shifted(timedelta(days=9)):
        actions.tick()
    once.refresh_from_db()
    assert once.state == "expired"
    QuotaRequest.objects.update(state="approved_once")
    assert signed_in(people.vera).post(f"/quota/requests/{once.pk}/withdraw/").status_code == 302
    once.refresh_from_db()
    assert once.state == "withdrawn"


def test_the_api_says_what_stands_and_confirms_it(
    people: People,
    big: QuotaRequest,
    caller: Callable[..., Caller],  # noqa: F811
) -> None:
    path = f"/quota-requests/{big.pk}"
    assert_problem(caller(people.vera).post(f"{path}/approve/", {"version": 1}), 403)
    luis, ada = caller(people.luis), caller(people.ada)
    assert luis.get(f"{path}/approve/").status_code == 405
    made = luis.post(f"{path}/approve/", {"version": 1, "count": 3, "note": "Three."}).json()
    assert (made["state"], made["decided_by"], made["grant"]) == ("approved_once", None, None)
    standing = made["first_approval"]
    assert (standing["by"], standing["count"], standing["note"]) == ("luis", 3, "Three.")
    assert_problem(luis.post(f"{path}/approve/", {"version": 2}), 403)
    assert_problem(ada.post(f"{path}/approve/", {"version": 1}), 409)
    done = ada.post(f"{path}/approve/", {"version": 2}).json()
    assert (done["state"], done["grant"]["count"], done["decided_by"]) == ("partly_approved", 3, "ada")
    assert done["first_approval"]["by"] == "luis"
