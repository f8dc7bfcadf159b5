"""The right to decide is lent to somebody else for a time, and nobody decides about their own by it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from portal.accounts.models import Membership, Role, User
from portal.audit.models import AuditEvent
from portal.invariants import violations
from portal.lib import clock
from portal.quotas import delegating
from portal.quotas.models import Delegation, GpuClass, Grant, QuotaRequest
from tests.api.conftest import Caller, assert_problem, caller  # noqa: F401
from tests.approvals.conftest import SignIn, asked, decide, told
from tests.conftest import People

pytestmark = pytest.mark.django_db


def in_days(number: int) -> str:
    return (clock.now().date() + timedelta(days=number)).isoformat()


@pytest.fixture
def lent(people: People, bo: Any, node: Any) -> Delegation:
    """Luis, who leads Vision, lets Bo decide for a week."""
    return delegating.delegate(people.luis, "bo", ends_at=clock.now() + timedelta(days=7))


def test_a_lead_lets_a_member_decide_for_a_week(people: People, bo: Any, wish: QuotaRequest, signed_in: SignIn) -> None:
    luis, member = signed_in(people.luis), signed_in(bo)
    assert "/approvals/delegate/" in luis.get("/approvals/").content.decode()
    assert member.get("/approvals/delegate/").status_code == 403
    assert luis.post("/approvals/delegate/", {"to": "bo", "ends_on": in_days(7), "right": "vision"}).status_code == 302
    made = Delegation.objects.get()
    assert told(bo)[0].startswith("You decide about requests for GPUs for Luis Okafor from ")
    page = member.get("/approvals/").content.decode()
    assert "Bo Lind for Luis Okafor, as lead of Vision" in page
    assert "Vera Rosén asks for 1 × A100" in page
    assert "Take back" not in page
    assert "/approvals/" in member.get("/").content.decode()
    assert decide(member, wish, "approve").status_code == 302
    wish.refresh_from_db()
    assert (wish.state, wish.decided_by, wish.decided_for) == ("approved", bo, people.luis)
    assert told(people.vera)[-1].startswith("Bo Lind for Luis Okafor granted 1 × A100 until ")
    assert "by Bo Lind for Luis Okafor" in luis.get("/approvals/").content.decode()
    decision = AuditEvent.objects.get(verb="quota.approved")
    assert (decision.actor, decision.after["for"]) == ("bo", "Luis Okafor (luis)")
    given = AuditEvent.objects.get(verb="quota.delegate")
    assert (given.actor, given.target, given.after["to"]) == ("luis", made.topic, "bo")
    assert violations() == []


def test_with_ones_own_right_nobody_else_is_named(
    people: People, wish: QuotaRequest, lent: Delegation, signed_in: SignIn
) -> None:
    Membership.objects.filter(user=lent.delegate).update(role=Role.LEAD)
    decide(signed_in(lent.delegate), wish, "deny", note="None are left.")
    wish.refresh_from_db()
    assert (wish.decided_by, wish.decided_for) == (lent.delegate, None)
    assert "for" not in AuditEvent.objects.get(verb="quota.denied").after


def test_nobodys_own_is_decided_through_it(people: People, lent: Delegation, signed_in: SignIn) -> None:
    member = signed_in(lent.delegate)
    asked(signed_in(people.luis))
    of_luis = QuotaRequest.objects.get()
    assert decide(member, of_luis, "approve").status_code == 404
    assert "Luis Okafor asks" not in member.get("/approvals/").content.decode()
    asked(member)
    own = QuotaRequest.objects.get(requester=lent.delegate)
    assert decide(member, own, "approve").status_code == 403
    with pytest.raises(IntegrityError, match="request_is_decided_by_another"), transaction.atomic():
        QuotaRequest.objects.filter(pk=of_luis.pk).update(decided_by=lent.delegate, decided_for=people.luis)
    assert not Grant.objects.exists()


def test_an_administrators_right_reaches_as_far(people: People, bo: Any, node: Any, signed_in: SignIn) -> None:
    delegating.delegate(people.ada, "oda", ends_at=clock.now() + timedelta(days=7))
    asked(signed_in(people.vera), scope="team")
    wish = QuotaRequest.objects.get()
    assert told(people.oda)[-1].startswith("Vera Rosén asks for 1 × A100 for team Vision")
    assert decide(signed_in(people.oda), wish, "approve").status_code == 302
    assert AuditEvent.objects.get(verb="quota.approved").after["for"] == "Ada Admin (ada)"
    grant = Grant.objects.get()
    signed_in(people.oda).post(f"/quota/requests/{wish.pk}/revoke/", {"note": "Needed elsewhere."})
    grant.refresh_from_db()
    assert grant.revoked_by == "oda"
    assert AuditEvent.objects.get(verb="quota.revoke").after["for"] == "Ada Admin (ada)"


def ended(lent: Delegation) -> dict[str, Callable[[], Any]]:
    here = Membership.objects.filter(team=lent.team)
    return {
        "taken back": lambda: delegating.revoke(lent, actor="luis"),
        "no longer lead": lambda: here.filter(user=lent.delegator).update(role=Role.MEMBER),
        "left the team": lambda: here.filter(user=lent.delegate).delete(),
        "delegator suspended": lambda: User.objects.filter(pk=lent.delegator_id).update(is_active=False),
        "not begun": lambda: Delegation.objects.update(starts_at=clock.now() + timedelta(days=1)),
    }


@pytest.mark.parametrize(
    "why", ["taken back", "no longer lead", "left the team", "delegator suspended", "not begun", "over"]
)
def test_it_ends(people: People, wish: QuotaRequest, lent: Delegation, signed_in: SignIn, why: str) -> None:
    member = signed_in(lent.delegate)
    assert member.get("/approvals/").status_code == 200
    ended(lent).get(why, lambda: None)()
    with clock.shifted(timedelta(days=8 if why == "over" else 0)):
        member = signed_in(lent.delegate)
        assert member.get("/approvals/").status_code == 403
        assert decide(member, wish, "approve").status_code == 404
    assert not Grant.objects.exists()


def test_one_right_approves_once_whoever_uses_it(
    people: People, wish: QuotaRequest, lent: Delegation, signed_in: SignIn
) -> None:
    GpuClass.objects.update(two_approvers_from=1)
    assert decide(signed_in(people.luis), wish, "approve").status_code == 302
    wish.refresh_from_db()
    assert decide(signed_in(lent.delegate), wish, "approve").status_code == 403
    assert decide(signed_in(people.ada), wish, "approve").status_code == 302
    asked(signed_in(people.vera))
    more = QuotaRequest.objects.latest("created_at")
    decide(signed_in(lent.delegate), more, "approve")
    more.refresh_from_db()
    assert (more.state, more.first_by, more.first_for) == ("approved_once", lent.delegate, people.luis)
    assert decide(signed_in(people.luis), more, "approve").status_code == 403
    with pytest.raises(IntegrityError, match="request_has_two_approvers"), transaction.atomic():
        QuotaRequest.objects.filter(pk=more.pk).update(decided_by=people.luis)
    assert Grant.objects.count() == 1


def test_the_same_again_replaces_what_was(people: People, lent: Delegation, signed_in: SignIn) -> None:
    luis = signed_in(people.luis)
    for _ in range(2):
        assert luis.post("/approvals/delegate/", {"to": "bo", "ends_on": in_days(3)}).status_code == 302
    assert Delegation.objects.filter(revoked_at=None).count() == 1


def test_who_gave_it_or_an_administrator_takes_it_back(people: People, lent: Delegation, signed_in: SignIn) -> None:
    path = f"/approvals/delegations/{lent.pk}/revoke/"
    assert signed_in(people.oda).post(path).status_code == 404
    assert signed_in(lent.delegate).post(path).status_code == 403
    assert signed_in(people.luis).get(path).status_code == 405
    for user in (people.luis, people.ada):
        assert signed_in(user).post(path).status_code == 302
    assert AuditEvent.objects.filter(verb="quota.undelegate").count() == 1
    assert told(lent.delegate)[-1] == "You no longer decide for Luis Okafor."


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("to", {"to": "luis"}),
        ("to", {"to": "oda"}),
        ("to", {"to": "nobody"}),
        ("to", {"to": "bo\0"}),
        ("right", {"right": "risk"}),
        ("ends_on", {"ends_on": in_days(91)}),
        ("ends_on", {"ends_on": in_days(-2)}),
        ("ends_on", {"ends_on": "soon"}),
        ("starts_on", {"starts_on": in_days(200), "ends_on": in_days(201)}),
    ],
)
def test_nonsense_is_refused_beside_its_field(
    people: People, bo: Any, node: Any, signed_in: SignIn, field: str, values: dict[str, str]
) -> None:
    answer = signed_in(people.luis).post("/approvals/delegate/", {"to": "bo", "ends_on": in_days(7)} | values)
    assert answer.status_code == 422
    assert field in answer.context["form"].errors
    assert not Delegation.objects.exists()


def test_the_database_keeps_its_length(people: People, lent: Delegation) -> None:
    with pytest.raises(IntegrityError, match="delegation_ends_in_time"), transaction.atomic():
        Delegation.objects.update(ends_at=lent.starts_at + timedelta(days=91))
    with pytest.raises(IntegrityError, match="delegation_is_to_another"), transaction.atomic():
        Delegation.objects.update(delegate=people.luis)


def test_the_api_lists_gives_and_takes_back(
    people: People,
    bo: Any,
    node: Any,
    caller: Callable[..., Caller],  # noqa: F811
) -> None:
    luis, member = caller(people.luis), caller(bo)
    made = luis.post("/delegations/", {"to": "bo", "ends_on": in_days(7)})
    assert made.status_code == 201
    assert (made.json()["delegator"], made.json()["delegate"], made.json()["team"]) == ("luis", "bo", "vision")
    path = f"/delegations/{made.json()['id']}/"
    assert [row["id"] for row in member.get("/delegations/").json()["results"]] == [made.json()["id"]]
    assert caller(people.oda).get("/delegations/").json()["results"] == []
    assert_problem(member.post("/delegations/", {"to": "vera", "ends_on": in_days(7)}), 403)
    assert_problem(luis.post("/delegations/", {"to": "oda", "ends_on": in_days(7)}), 422, "to")
    assert_problem(caller(people.oda).delete(path), 404)
    assert_problem(member.delete(path), 403)
    for _ in range(2):
        assert luis.delete(path).status_code == 204
    assert member.get("/delegations/").json()["results"] == []
