"""Rules of the catalog approve what needs no person, or only note what they would have done."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from threading import Thread
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from portal.accounts.models import Team
from portal.approvals import rules
from portal.audit.models import AuditEvent
from portal.compute import admission
from portal.invariants import violations
from portal.lib import clock
from portal.quotas import actions
from portal.quotas.actions import Wish
from portal.quotas.models import ApprovalRule, GpuClass, Grant, QuotaRequest
from portal.usage import budgets
from tests.api.conftest import Caller, assert_problem, caller  # noqa: F401
from tests.approvals.conftest import SignIn, asked, decide, told
from tests.conftest import People

pytestmark = pytest.mark.django_db


@pytest.fixture
def rule(node: Any) -> ApprovalRule:
    """One A100 for eight days at most, with budget left, two other grants at most, nothing revoked."""
    return ApprovalRule.objects.create(
        name="small",
        gpu_class_id="a100",
        most_count=1,
        longest_hours=192,
        budget_left=True,
        most_active_grants=2,
        no_revocations=True,
        mode="active",
    )


def set_to(rule: ApprovalRule, **changes: Any) -> None:
    ApprovalRule.objects.filter(pk=rule.pk).update(**changes)


def previewed(signed_in: SignIn, user: Any, **changes: Any) -> str:
    """What the page of the form says before it is sent."""
    values = {"gpu_class": "a100", "count": 1, "scope": "me", "team": "vision"}
    ends_on = (clock.now().date() + timedelta(days=6)).isoformat()
    answer = signed_in(user).post("/quota/ask/preview/", values | {"ends_on": ends_on, "justification": ""} | changes)
    assert answer.status_code == 200
    assert not answer.context["form"].errors
    return " ".join(answer.context["said"])


def test_what_a_rule_allows_is_approved_at_once(
    people: People, rule: ApprovalRule, signed_in: SignIn, make_workspace: Callable[..., Any]
) -> None:
    made = make_workspace(size="gpu-2")
    assert admission.admit() == []
    vera = signed_in(people.vera)
    answer = asked(vera)
    page = vera.get(answer.url).content.decode()
    assert "Approved at once by the rule “small”." in page
    wish = QuotaRequest.objects.get()
    assert (wish.state, wish.rule, wish.decided_by, wish.grant.count) == ("approved", "small", None, 1)
    (kept,) = wish.verdicts
    assert kept["text"] == "At most 1 × A100 for 192 hours; budget left; at most 2 other grants; nothing revoked before"
    assert (kept["seen"]["count"], kept["seen"]["left"], kept["passes"]) == (1, None, True)
    assert admission.admit() == [made.allocation_id]
    assert told(people.luis) == told(people.ada) == []
    assert told(people.vera)[0].startswith("The rule “small” granted 1 × A100 until ")
    first, second = AuditEvent.objects.filter(target=wish.topic).order_by("id")
    assert (first.actor, first.verb) == ("vera", "quota.ask")
    assert (second.actor, second.verb, second.after["state"]) == ("rule:small", "quota.approved", "approved")
    assert second.after["rule"] == kept
    assert "by the rule “small”" in signed_in(people.luis).get("/approvals/").content.decode()
    assert violations() == []


def test_the_form_says_before_what_a_rule_would_do(people: People, rule: ApprovalRule, signed_in: SignIn) -> None:
    said = previewed(signed_in, people.vera)
    assert said.startswith("Would be approved at once by rule “small”: for one person, 1 of at most 1 devices, ")
    assert "the team has no budget" in said
    assert "Not approved by rule “small”: 3 of at most 1 devices." in previewed(signed_in, people.vera, count=3)
    assert "No rule approves this class by itself" in previewed(signed_in, people.vera, gpu_class="h100")
    assert "Fill in the form first" in previewed(signed_in, people.vera, ends_on="")
    assert "It must end after it begins" in previewed(signed_in, people.vera, ends_on="2020-01-01")
    assert not QuotaRequest.objects.exists()
    assert signed_in(people.vera).get("/quota/ask/preview/").status_code == 405
    assert 'formaction="/quota/ask/preview/"' in signed_in(people.vera).get("/quota/ask/").content.decode()


def revoked(people: People, signed_in: SignIn) -> None:
    asked(signed_in(people.vera))
    actions.revoke(Grant.objects.get(), "Not used.", by=people.luis)


def with_grants(people: People, signed_in: SignIn) -> None:
    for _ in range(3):
        asked(signed_in(people.vera))


def with_budget(people: People, signed_in: SignIn) -> None:
    budgets.put(Team.objects.get(slug="vision"), Decimal(5), "notify", actor="ada")


def with_two_approvers(people: People, signed_in: SignIn) -> None:
    GpuClass.objects.update(two_approvers_from=1)


@pytest.mark.parametrize(
    ("before", "changes", "why"),
    [
        (None, {"count": 2}, "2 of at most 1 devices"),
        (None, {"scope": "team"}, "for a whole team, not one person"),
        (None, {"ends_on": "later"}, " of at most 192 hours"),
        (revoked, {}, "1 grants revoked before"),
        (with_grants, {}, "3 of at most 2 other grants"),
        (with_budget, {}, ", € 5.00 left of the team&#x27;s budget"),
        (with_two_approvers, {}, "so many need two approvers"),
    ],
)
def test_what_fails_one_condition_waits_for_a_person_and_says_which(
    people: People, rule: ApprovalRule, signed_in: SignIn, before: Any, changes: dict[str, Any], why: str
) -> None:
    if before is not None:
        before(people, signed_in)
    later = (clock.now().date() + timedelta(days=20)).isoformat()
    assert asked(signed_in(people.vera), **{k: later if v == "later" else v for k, v in changes.items()}).url
    wish = QuotaRequest.objects.latest("created_at")
    assert (wish.state, wish.rule) == ("submitted", "")
    page = signed_in(people.ada).get(f"/quota/requests/{wish.pk}/").content.decode()
    assert "Not approved by rule “small”: " in page
    assert why in page


def test_in_shadow_mode_nothing_is_decided_and_agreement_is_counted(
    people: People, rule: ApprovalRule, signed_in: SignIn
) -> None:
    set_to(rule, mode="shadow")
    vera, luis = signed_in(people.vera), signed_in(people.luis)
    assert "No rule approves this class" in previewed(signed_in, people.vera)
    assert "small: nothing decided yet" in " ".join(luis.get("/approvals/").content.decode().split())
    for count, do in ((1, "approve"), (1, "deny"), (2, "approve"), (1, "")):
        asked(vera, count=count)
        wish = QuotaRequest.objects.latest("created_at")
        assert (wish.state, wish.rule, wish.shadow_rule) == ("submitted", "", "small" if count == 1 else "")
        if do:
            decide(luis, wish, do, note="Because.")
    page = luis.get(f"/quota/requests/{wish.pk}/").content.decode()
    assert "Would be approved at once by rule “small”" in page
    assert "Would be approved" not in vera.get(f"/quota/requests/{wish.pk}/").content.decode()
    assert "people approved 1 of 2 that it would have approved" in luis.get("/approvals/").content.decode()
    assert not AuditEvent.objects.filter(actor="rule:small").exists()


def test_a_rule_that_is_off_is_not_asked(people: People, rule: ApprovalRule, signed_in: SignIn) -> None:
    set_to(rule, mode="off")
    asked(signed_in(people.vera))
    wish = QuotaRequest.objects.get()
    assert (wish.state, wish.verdicts, wish.shadow_rule) == ("submitted", [], "")


def test_the_first_active_rule_that_passes_decides(people: People, rule: ApprovalRule, signed_in: SignIn) -> None:
    ApprovalRule.objects.create(
        name="more", gpu_class_id="a100", most_count=2, longest_hours=500, mode="active", position=1
    )
    asked(signed_in(people.vera), count=2)
    wish = QuotaRequest.objects.get()
    assert wish.rule == "more"
    assert [(one["rule"], one["passes"]) for one in wish.verdicts] == [("small", False), ("more", True)]


def test_the_database_wants_a_person_or_a_rule(people: People, rule: ApprovalRule, signed_in: SignIn) -> None:
    asked(signed_in(people.vera))
    for changes in ({"rule": ""}, {"decided_by": people.luis}, {"state": "denied"}, {"state": "submitted"}):
        with (
            pytest.raises(IntegrityError, match="request_decided_by_somebody_or_a_rule"),
            transaction.atomic(),
        ):
            QuotaRequest.objects.update(**changes)


@pytest.mark.django_db(transaction=True)
def test_of_two_wishes_at_once_the_second_sees_the_first(people: People, rule: ApprovalRule) -> None:
    set_to(rule, most_active_grants=0)
    wish = Wish(gpu_class="a100", count=1, ends_at=clock.now() + timedelta(days=3), justification="More.")

    def ask() -> None:
        try:
            actions.ask(people.vera, wish, actor="vera", judge=rules.judge)
        finally:
            connection.close()

    both = [Thread(target=ask) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert sorted(QuotaRequest.objects.values_list("state", flat=True)) == ["approved", "submitted"]


def test_the_api_asks_checks_and_names_the_rule(
    people: People,
    rule: ApprovalRule,
    caller: Callable[..., Caller],  # noqa: F811
) -> None:
    vera = caller(people.vera)
    body = {
        "gpu_class": "a100",
        "count": 2,
        "ends_on": (clock.now().date() + timedelta(days=3)).isoformat(),
        "justification": "Ablations.",
    }
    (verdict,) = vera.post("/quota-requests/check/", body).json()
    assert (verdict["rule"], verdict["passes"]) == ("small", False)
    assert {"words": "2 of at most 1 devices", "holds": False} in verdict["conditions"]
    assert_problem(vera.post("/quota-requests/check/", body | {"count": 0}), 422, "count")
    assert not QuotaRequest.objects.exists()
    made = vera.post("/quota-requests/", body | {"count": 1}).json()
    assert (made["state"], made["rule"], made["decided_by"]) == ("approved", "small", None)
    assert made["grant"]["count"] == 1
