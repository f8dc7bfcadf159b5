"""What leads and administrators do about what others run: write to its owner, and stop it with a reason."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail
from django.test import Client

from environments.states import W, state_of
from jobs.states import J
from portal.audit.models import AuditEvent
from portal.compute import devices
from portal.compute.models import Allocation, Node
from portal.compute.states import Phase, Reason
from portal.notices import delivering
from portal.notices.models import Delivery, Notice
from portal.notices.states import Kind
from portal.quotas.models import GpuClass
from tests.api.conftest import assert_problem
from tests.conftest import People

pytestmark = pytest.mark.django_db
SignIn = Callable[[Any], Client]
Make = Callable[..., Any]


@pytest.fixture
def held(make_workspace: Make, settle: Make) -> Allocation:
    made = make_workspace(name="churn")
    settle()
    return Allocation.objects.get(pk=made.allocation_id)


def path(allocation: Allocation, what: str) -> str:
    return f"/allocations/{allocation.pk}/{what}/"


def posted(what: str, words: str) -> dict[str, str]:
    return {"text" if what == "message" else "because": words}


def test_the_board_leads_those_there_who_look_after_it(
    signed_in: SignIn, people: People, make_workspace: Make, settle: Make
) -> None:
    GpuClass.objects.update(each_person=None, each_team=None)
    devices.note(Node.objects.get(), devices.declared({"a100": 1}))
    made = make_workspace(size="gpu-1")
    settle()
    for user, may in ((people.luis, True), (people.ada, True), (people.vera, False), (people.oda, False)):
        page = signed_in(user).get("/gpus/").content.decode()
        assert (f"/allocations/{made.allocation_id}/stop/" in page) is may
        assert (f"/allocations/{made.allocation_id}/message/" in page) is may


@pytest.mark.parametrize("what", ["message", "stop"])
def test_members_are_refused_and_strangers_learn_nothing(
    signed_in: SignIn, people: People, bo: Any, held: Allocation, what: str
) -> None:
    for user, status in ((people.vera, 403), (bo, 403), (people.oda, 404)):
        client = signed_in(user)
        assert client.get(path(held, what)).status_code == status
        assert client.post(path(held, what), posted(what, "Because.")).status_code == status
    assert signed_in(people.luis).get("/allocations/nothing/stop/").status_code == 404
    assert Client().post(path(held, what)).status_code == 302
    held.refresh_from_db()
    assert held.desired == "run" and not Notice.objects.exists()


@pytest.mark.parametrize("what", ["message", "stop"])
@pytest.mark.parametrize("words", ["", " \n ", "x" * 181, "a\0b"])
def test_words_are_needed(signed_in: SignIn, people: People, held: Allocation, what: str, words: str) -> None:
    answer = signed_in(people.luis).post(path(held, what), posted(what, words))
    assert answer.status_code == 422 and 'aria-invalid="true"' in answer.content.decode()
    held.refresh_from_db()
    assert held.desired == "run" and not Notice.objects.exists()


@pytest.mark.parametrize("who", ["luis", "ada"])
def test_a_message_reaches_its_owner_by_notice_and_mail_once(
    signed_in: SignIn, people: People, held: Allocation, who: str
) -> None:
    people.vera.email = "vera@example.org"
    people.vera.save()
    client, sender = signed_in(getattr(people, who)), getattr(people, who)
    assert "About churn, of team Vision." in client.get(path(held, "message")).content.decode()
    for _ in range(2):
        assert client.post(path(held, "message"), {"text": "May I have <b>it</b>?"})["Location"] == "/gpus/"
    notice = Notice.objects.get(user=people.vera, kind=Kind.MESSAGE)
    assert notice.text == f"{sender.get_full_name()} about churn: May I have <b>it</b>?"
    assert notice.path == f"/workspaces/{held.owner_id}/"
    assert "&lt;b&gt;it" in signed_in(people.vera).get("/notices/").content.decode()
    assert Delivery.objects.count() == 1
    delivering.deliver_due()
    assert notice.text in mail.outbox[0].body
    event = AuditEvent.objects.get(verb="allocation.message")
    assert (event.actor, event.after["to"]) == (who, "vera")


def test_a_stop_says_what_stays_and_its_owner_reads_who_and_why(
    signed_in: SignIn, people: People, held: Allocation, settle: Make
) -> None:
    client = signed_in(people.luis)
    page = client.get(path(held, "stop")).content.decode()
    assert "Its files. Its owner can start it again at any time." in page and "Will be lost" in page
    assert client.post(path(held, "stop"), {"because": "The review needs <all> GPUs."}).status_code == 302
    assert client.post(path(held, "stop"), {"because": "Pressed again."}).status_code == 302
    settle()
    held.refresh_from_db()
    assert (held.phase, held.reason) == (Phase.ENDED, Reason.STOPPED)
    assert held.message == "Stopped by Luis Okafor: The review needs <all> GPUs."
    assert state_of(held, deleted=False) == W.STOPPED
    notice = Notice.objects.get(user=people.vera)
    assert (notice.kind, notice.text) == (Kind.WORK_STOPPED, f"churn: {held.message}")
    assert "&lt;all&gt; GPUs." in signed_in(people.vera).get(f"/workspaces/{held.owner_id}/").content.decode()
    event = AuditEvent.objects.get(verb="allocation.end")
    assert (event.actor, event.after["message"]) == ("luis", held.message)
    late = signed_in(people.luis)
    assert late.get(path(held, "stop")).status_code == 409
    assert late.post(path(held, "message"), {"text": "Too late."}).status_code == 409


def test_nobody_is_told_what_they_stop_themselves(
    signed_in: SignIn, people: People, make_workspace: Make, settle: Make
) -> None:
    made = make_workspace(people.luis)
    settle()
    own = Allocation.objects.get(pk=made.allocation_id)
    assert signed_in(people.luis).post(path(own, "stop"), {"because": "Done."}).status_code == 302
    assert not Notice.objects.exists()


def test_a_job_is_stopped_and_not_tried_again(
    signed_in: SignIn,
    people: People,
    submit: Make,
    tick: Make,
) -> None:
    job = submit(retries=3)
    tick()
    attempt = Allocation.objects.get(owner_id=job.pk)
    page = signed_in(people.ada).get(path(attempt, "stop")).content.decode()
    assert "It is not tried again" in page
    signed_in(people.ada).post(path(attempt, "stop"), {"because": "Wrong data."})
    tick()
    job.refresh_from_db()
    assert (job.state, job.cancelled_by, job.attempts.count()) == (J.CANCELLED, "ada", 1)
    assert job.message == "Stopped by Ada Admin: Wrong data."
    assert Notice.objects.filter(user=people.vera, kind=Kind.WORK_STOPPED, path=f"/jobs/{job.pk}/").count() == 1


def test_the_api_does_the_same(people: People, bo: Any, held: Allocation, caller: Make) -> None:
    luis = caller(people.luis)
    told = luis.post(path(held, "message"), {"text": "May I have it?"})
    assert (told.status_code, told.json()["name"], told.json()["owner"]) == (202, "churn", "vera")
    assert_problem(luis.post(path(held, "stop"), {"because": " "}), 422, "because")
    assert_problem(luis.post(path(held, "stop"), {}), 422, "because")
    assert_problem(caller(bo).post(path(held, "stop"), {"because": "Mine."}), 403)
    assert_problem(caller(people.oda).post(path(held, "stop"), {"because": "Mine."}), 404)
    assert_problem(caller(people.luis, scopes=("workspaces:read",)).post(path(held, "stop"), {"because": "x"}), 403)
    assert luis.post(path(held, "stop"), {"because": "For the review."}).status_code == 202
    held.refresh_from_db()
    assert (held.desired, held.end_message) == ("end", "Stopped by Luis Okafor: For the review.")


def test_what_always_comes_by_mail_is_no_choice(signed_in: SignIn, people: People) -> None:
    people.vera.email = "vera@example.org"
    people.vera.save()
    client = signed_in(people.vera)
    assert 'value="message"' not in client.get("/notices/").content.decode()
    client.post("/notices/mail/", {"kinds": ["message"]})
    assert not people.vera.mail_wishes.exists()
    assert 'value="message"' in client.get("/webhooks/").content.decode()
