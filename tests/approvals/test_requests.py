"""Asking for GPUs and deciding about it, through the pages: who may do what, and what comes of it."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from portal.audit.models import AuditEvent
from portal.compute import admission, queue
from portal.compute.models import Allocation, Node
from portal.compute.states import Phase
from portal.invariants import violations
from portal.lib import clock
from portal.quotas import actions
from portal.quotas.actions import Wish
from portal.quotas.models import GpuClass, Grant, QuotaRequest
from portal.quotas.states import GrantState
from tests.approvals.conftest import SignIn, asked, decide, told
from tests.conftest import People

pytestmark = pytest.mark.django_db


def test_a_launch_beyond_the_limit_waits_and_starts_by_itself_once_it_is_granted(
    people: People,
    node: Node,
    signed_in: SignIn,
    make_workspace: Callable[..., Any],
    settle: Callable[..., None],
) -> None:
    made = make_workspace(size="gpu-2")
    settle()
    waiting = Allocation.objects.get(pk=made.allocation_id)
    queue.explain([waiting])
    assert waiting.message == ("Needs 2 × A100. Its owner uses 0 of 1 × A100; more can be asked for. Number 1 in line.")
    vera = signed_in(people.vera)
    assert "Its owner uses 0 of 1 × A100" in vera.get(f"/workspaces/{made.pk}/").content.decode()
    assert (
        "You use 0 of 1 × A100; more can be asked for." in vera.get("/workspaces/new/jupyter-python/").content.decode()
    )
    assert asked(vera).status_code == 302
    wish = QuotaRequest.objects.get()
    assert "Vera Rosén asks for 1 × A100" in signed_in(people.luis).get("/approvals/").content.decode()
    assert decide(signed_in(people.luis), wish, "approve").status_code == 302
    settle()
    waiting.refresh_from_db()
    assert waiting.phase == Phase.RUNNING
    assert waiting.holds.filter(until=None).count() == 2
    assert violations() == []
    assert told(people.luis) == ["Vera Rosén asks for 1 × A100: Ablations for the review."]
    assert told(people.ada) == told(people.luis)
    (decision,) = told(people.vera)
    assert decision.startswith("Luis Okafor granted 1 × A100 until ")
    verbs = AuditEvent.objects.filter(target=wish.topic).order_by("id").values_list("actor", "verb")
    assert list(verbs) == [("vera", "quota.ask"), ("luis", "quota.approved")]


def test_the_teams_share_is_a_limit_too(
    people: People, bo: Any, node: Node, make_workspace: Callable[..., Any]
) -> None:
    GpuClass.objects.update(each_team=1)
    mine, theirs = make_workspace(size="gpu-1"), make_workspace(bo, size="gpu-1")
    assert admission.admit() == [mine.allocation_id]
    waiting = Allocation.objects.get(pk=theirs.allocation_id)
    queue.explain([waiting])
    assert "Its team uses 1 of 1 × A100" in waiting.message


def test_a_limit_of_one_person_keeps_nobody_else_waiting(
    people: People, bo: Any, node: Node, make_workspace: Callable[..., Any]
) -> None:
    first = make_workspace(size="gpu-1")
    for _ in range(3):
        make_workspace(size="gpu-1")
    other = make_workspace(bo, size="gpu-1")
    assert admission.admit() == [first.allocation_id, other.allocation_id]
    assert admission.admit() == []


def test_it_can_be_granted_in_part_and_only_within_what_was_asked(
    people: People, wish: QuotaRequest, signed_in: SignIn
) -> None:
    QuotaRequest.objects.update(count=4)
    wish.refresh_from_db()
    admin = signed_in(people.ada)
    assert decide(admin, wish, "approve", count=5).status_code == 422
    tomorrow = clock.now().date() + timedelta(days=1)
    part = {"count": 2, "until": tomorrow.isoformat(), "note": "As many as are here."}
    assert decide(admin, wish, "approve", **part).status_code == 302
    wish.refresh_from_db()
    grant = wish.grant
    assert (wish.state, grant.count, grant.user, grant.ends_at.date()) == (
        "partly_approved",
        2,
        people.vera,
        tomorrow + timedelta(days=1),
    )
    page = signed_in(people.vera).get("/quota/").content.decode()
    assert "You: 0 of 3" in page
    assert page.count("2 × A100</a> for you") == 1
    assert "Partly approved" in page


def test_of_two_who_decide_at_once_one_wins_and_the_other_sees_what_happened(
    people: People, wish: QuotaRequest, signed_in: SignIn
) -> None:
    assert decide(signed_in(people.ada), wish, "deny", note="None are left.").status_code == 302
    answer = decide(signed_in(people.luis), wish, "approve")
    assert answer.status_code == 409
    assert "Ada Admin decided first: denied." in answer.content.decode()
    assert not Grant.objects.exists()
    assert told(people.vera) == ["Ada Admin denied your request for 1 × A100: None are left."]


def test_nobody_decides_about_their_own(people: People, node: Node, signed_in: SignIn) -> None:
    luis = signed_in(people.luis)
    asked(luis)
    own = QuotaRequest.objects.get()
    assert decide(luis, own, "approve").status_code == 403
    assert "Approve</button>" not in luis.get(f"/quota/requests/{own.pk}/").content.decode()
    with pytest.raises(IntegrityError, match="request_is_decided_by_another"), transaction.atomic():
        QuotaRequest.objects.update(state="approved", decided_by=people.luis, decided_at=clock.now())
    own.refresh_from_db()
    assert own.state == "submitted"


def test_a_lead_divides_the_teams_share_and_does_not_enlarge_it(people: People, node: Node, signed_in: SignIn) -> None:
    asked(signed_in(people.vera), scope="team")
    wish = QuotaRequest.objects.get()
    assert decide(signed_in(people.luis), wish, "approve").status_code == 403
    assert told(people.luis) == []
    assert decide(signed_in(people.ada), wish, "approve").status_code == 302
    assert Grant.objects.get().user is None
    assert "Team Vision: 0 of 5" in signed_in(people.luis).get("/quota/").content.decode()


def test_strangers_see_nothing(people: People, wish: QuotaRequest, bo: Any, signed_in: SignIn) -> None:
    for stranger in (people.oda, bo):
        client = signed_in(stranger)
        assert client.get(f"/quota/requests/{wish.pk}/").status_code == 404
        assert decide(client, wish, "approve").status_code == 404
        assert client.get("/approvals/").status_code == 403
    assert signed_in(people.vera).get("/quota/requests/nothing/").status_code == 404


def test_a_question_is_answered_before_the_decision(people: People, wish: QuotaRequest, signed_in: SignIn) -> None:
    admin, vera = signed_in(people.ada), signed_in(people.vera)
    assert decide(admin, wish, "ask", note="").status_code == 422
    assert decide(admin, wish, "ask", note="For how many runs?").status_code == 302
    wish.refresh_from_db()
    assert told(people.vera) == ["A question about your request for 1 × A100: For how many runs?"]
    answer = f"/quota/requests/{wish.pk}/answer/"
    assert signed_in(people.luis).post(answer, {"version": wish.version, "note": "Two."}).status_code == 403
    assert vera.post(answer, {"version": wish.version, "note": " "}).status_code == 422
    assert vera.post(answer, {"version": wish.version, "note": "Two a day."}).status_code == 302
    wish.refresh_from_db()
    assert (wish.state, wish.question) == ("submitted", "")
    assert "Asked: For how many runs?\nAnswered: Two a day." in wish.justification
    assert len(told(people.ada)) == 2


def test_who_asked_may_withdraw_and_a_second_time_is_no_error(
    people: People, wish: QuotaRequest, signed_in: SignIn
) -> None:
    path = f"/quota/requests/{wish.pk}/withdraw/"
    assert signed_in(people.ada).post(path).status_code == 403
    vera = signed_in(people.vera)
    assert vera.get(path).status_code == 405
    for _ in range(2):
        assert vera.post(path).status_code == 302
    wish.refresh_from_db()
    assert wish.state == "withdrawn"
    assert AuditEvent.objects.filter(verb="quota.withdraw").count() == 1
    assert decide(signed_in(people.ada), wish, "approve").status_code == 409
    assert not Grant.objects.exists()


def test_a_grant_begins_ends_and_can_be_revoked(
    people: People, wish: QuotaRequest, signed_in: SignIn, make_workspace: Callable[..., Any]
) -> None:
    QuotaRequest.objects.update(starts_at=clock.now() + timedelta(days=1))
    wish.refresh_from_db()
    admin = signed_in(people.ada)
    decide(admin, wish, "approve")
    grant = Grant.objects.get()
    make_workspace(size="gpu-2")
    assert (grant.state(clock.now()), admission.admit()) == (GrantState.SCHEDULED, [])
    with clock.shifted(timedelta(days=30)):
        assert (grant.state(clock.now()), admission.admit()) == (GrantState.EXPIRED, [])
    with clock.shifted(timedelta(days=2)):
        assert grant.state(clock.now()) == GrantState.EXPIRING
        assert admin.post(f"/quota/requests/{wish.pk}/revoke/", {"note": ""}, follow=True).status_code == 200
        assert Grant.objects.get().revoked_at is None
        assert signed_in(people.vera).post(f"/quota/requests/{wish.pk}/revoke/", {"note": "x"}).status_code == 403
        admin.post(f"/quota/requests/{wish.pk}/revoke/", {"note": "Needed elsewhere."})
        assert (Grant.objects.get().state(clock.now()), admission.admit()) == (GrantState.REVOKED, [])
    assert told(people.vera)[-1] == "1 × A100 for you was revoked by ada: Needed elsewhere."


def test_what_runs_goes_on_when_its_grant_ends(
    people: People,
    wish: QuotaRequest,
    signed_in: SignIn,
    make_workspace: Callable[..., Any],
    settle: Callable[..., None],
) -> None:
    decide(signed_in(people.ada), wish, "approve")
    made = make_workspace(size="gpu-2")
    settle()
    with clock.shifted(timedelta(days=30)):
        settle()
        assert Allocation.objects.get(pk=made.allocation_id).phase == Phase.RUNNING
        assert "You: 2 of 1" in signed_in(people.vera).get("/quota/").content.decode()
        assert violations() == []


def test_the_end_of_a_grant_is_told_in_time_and_each_time_once(
    people: People, wish: QuotaRequest, signed_in: SignIn
) -> None:
    QuotaRequest.objects.update(ends_at=clock.now() + timedelta(days=30))
    wish.refresh_from_db()
    decide(signed_in(people.ada), wish, "approve")
    ends_at = Grant.objects.get().ends_at
    before = len(told(people.vera))
    for days in (20, 13, 8, 6.5, 6, 0.5, 0.4, -1):
        with clock.shifted(ends_at - clock.now() - timedelta(days=days)):
            actions.tick()
            actions.tick()
    assert [text.partition(" will ")[2].partition(":")[0] for text in told(people.vera)[before:]] == [
        "end within 14 days",
        "end within 7 days",
        "end tomorrow",
    ]


def test_a_request_that_nobody_answered_in_time_expires(people: People, wish: QuotaRequest) -> None:
    with clock.shifted(timedelta(days=9)):
        actions.tick()
    wish.refresh_from_db()
    assert wish.state == "expired"
    assert AuditEvent.objects.get(verb="quota.expire").actor == "tick"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("gpu_class", "v100"),
        ("gpu_class", "a\0"),
        ("count", -1),
        ("count", 0),
        ("count", 2**63),
        ("count", "1e309"),
        ("team", "risk"),
        ("scope", "everybody"),
        ("ends_on", "2020-01-01"),
        ("ends_on", "9999-12-31"),
        ("ends_on", "soon"),
        ("starts_on", "2020-01-01"),
        ("starts_on", "9999-12-30"),
        ("justification", " "),
        ("justification", "x" * 2001),
    ],
)
def test_nonsense_is_refused_beside_its_field(
    people: People, node: Node, signed_in: SignIn, field: str, value: Any
) -> None:
    answer = asked(signed_in(people.vera), **{field: value})
    assert answer.status_code == 422
    assert field in answer.context["form"].errors
    assert not QuotaRequest.objects.exists()
    assert not AuditEvent.objects.filter(verb="quota.ask").exists()


def test_one_person_has_only_so_many_requests_open(people: People, node: Node, signed_in: SignIn) -> None:
    client = signed_in(people.vera)
    for _ in range(actions.MOST_OPEN):
        assert asked(client).status_code == 302
    assert "Withdraw one first" in asked(client).content.decode()


def test_the_page_of_a_request_shows_the_facts(
    people: People,
    wish: QuotaRequest,
    signed_in: SignIn,
    make_workspace: Callable[..., Any],
    settle: Callable[..., None],
) -> None:
    decide(signed_in(people.ada), wish, "approve")
    make_workspace(size="gpu-1")
    settle()
    with clock.shifted(timedelta(days=3)):
        asked(signed_in(people.vera), count=2)
        latest = QuotaRequest.objects.latest("created_at")
        page = " ".join(signed_in(people.luis).get(f"/quota/requests/{latest.pk}/").content.decode().split())
    assert "1 of 2" in page  # free now
    assert "1 of 2" in page  # Vera holds one of her two
    assert "used 100 %" in page
    assert "Promised, of 2" in page
    seconds = int((latest.ends_at - latest.starts_at).total_seconds())
    assert f"€ {2 * seconds * Decimal('2.3') / 3600:,.2f}" in page


def test_asking_for_a_link_fills_in_the_form(people: People, node: Node, signed_in: SignIn) -> None:
    page = signed_in(people.vera).get("/quota/ask/?gpu_class=l4&count=3").content.decode()
    assert '<option value="l4" selected>' in page
    assert 'value="3"' in page


def test_pages_ask_a_constant_number_of_questions(
    people: People, node: Node, signed_in: SignIn, django_assert_max_num_queries: Any
) -> None:
    vera, ada = signed_in(people.vera), signed_in(people.ada)
    wish = Wish(gpu_class="a100", count=1, ends_at=clock.now() + timedelta(days=3), justification="More.")
    for _ in range(15):
        actions.ask(people.vera, wish, actor="vera")
    with django_assert_max_num_queries(17):
        vera.get("/quota/")
    with django_assert_max_num_queries(8):
        ada.get("/approvals/")
