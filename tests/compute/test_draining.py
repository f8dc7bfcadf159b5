"""A node is emptied by a moment: owners are told, workspaces stop, jobs go on elsewhere; and the page of a node."""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from environments import actions as workspaces
from environments.states import W, state_of
from jobs.models import Attempt
from jobs.states import J
from portal.audit.models import AuditEvent
from portal.compute import devices, node_actions, queue
from portal.compute.models import GIB, Allocation, Node
from portal.compute.states import Phase, Reason
from portal.invariants import violations
from portal.lib import clock, words
from portal.lib.errors import Invalid
from portal.notices.models import Notice
from portal.notices.states import Kind
from tests.api.conftest import assert_problem
from tests.conftest import People
from tests.jobs.test_life import now_running

pytestmark = pytest.mark.django_db
SignIn = Callable[[Any], Client]
Make = Callable[..., Any]
HOUR = timedelta(hours=1)


@pytest.fixture
def node(catalog: None) -> Node:
    return Node.objects.get()


def second() -> Node:
    room = {"schedulable_cpu": Decimal(8), "schedulable_memory": 64 * GIB}
    return Node.objects.create(name="other", runtime="fake", cpu=Decimal(8), memory=64 * GIB, **room)


def drain(node: Node, after: timedelta = HOUR, because: str = "New {disks}") -> datetime:
    until = clock.now() + after
    node_actions.drain(node, until, because, actor="ada")
    node.refresh_from_db()
    return until


def latest(owner: Any) -> Allocation:
    return Allocation.objects.filter(owner_id=owner.pk).latest("created_at")


def texts(user: Any) -> list[str]:
    return list(Notice.objects.filter(user=user, kind=Kind.WORK_STOPPED).order_by("id").values_list("text", flat=True))


def page(client: Client, node: Node) -> str:
    answer = client.get(f"/nodes/{node.pk}/")
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_owners_are_told_at_once_and_workspaces_run_until_then(
    signed_in: SignIn, people: People, node: Node, make_workspace: Make, settle: Make
) -> None:
    made = make_workspace(name="churn")
    settle()
    until = drain(node)
    when = words.point(until, clock.now())
    [told] = texts(people.vera)
    assert told.startswith(
        f"fake is emptied (New {{disks}}): churn is stopped at {when}. Save your work; your files stay"
    )
    shown = signed_in(people.vera).get(f"/workspaces/{made.pk}/").content.decode()
    assert f"fake is emptied (New {{disks}}). It is stopped there at {when}. Save your work;" in shown
    node_actions.end_due()
    settle()
    assert latest(made).phase == Phase.RUNNING
    with clock.shifted(HOUR):
        for _ in range(2):
            node_actions.end_due()
        settle()
        ended = latest(made)
    assert (ended.phase, ended.reason, ended.message) == (Phase.ENDED, Reason.DRAINED, "fake was emptied: New {disks}.")
    assert state_of(ended, deleted=False) == W.STOPPED
    assert violations() == []


def test_what_is_launched_meanwhile_goes_elsewhere_or_says_why_not(
    node: Node, make_workspace: Make, settle: Make
) -> None:
    drain(node)
    made = make_workspace()
    settle()
    waiting = latest(made)
    queue.explain([waiting])
    assert waiting.message == "All nodes are closed to new work. Number 1 in line."
    other = second()
    settle()
    assert latest(made).node == other
    with clock.shifted(2 * HOUR):
        node_actions.end_due()
        settle()
        assert latest(made).phase == Phase.RUNNING


def test_suspended_ones_are_stopped_too(node: Node, make_workspace: Make, settle: Make) -> None:
    made = make_workspace()
    settle()
    workspaces.suspend(made, actor="vera")
    settle()
    drain(node)
    with clock.shifted(HOUR):
        node_actions.end_due()
        settle()
        assert latest(made).reason == Reason.DRAINED


def test_a_job_that_ends_in_time_has_ended_well(
    signed_in: SignIn, people: People, node: Node, submit: Make, tick: Make, fake_engine: Any
) -> None:
    job = submit()
    tick()
    drain(node)
    assert "tried again elsewhere" in texts(people.vera)[0]
    client, told = signed_in(people.vera), "fake is emptied (New {disks}). It is stopped there at"
    assert told in client.get(f"/jobs/{job.pk}/").content.decode()
    fake_engine.end(now_running(job), 0)
    tick()
    assert told not in client.get(f"/jobs/{job.pk}/").content.decode()
    with clock.shifted(HOUR):
        node_actions.end_due()
        tick()
    job.refresh_from_db()
    assert (job.state, job.attempts.count()) == (J.SUCCEEDED, 1)


def test_one_that_does_not_is_tried_again_elsewhere_and_that_does_not_count(
    node: Node, submit: Make, tick: Make
) -> None:
    job = submit(retries=0)
    tick()
    other = second()
    drain(node)
    with clock.shifted(HOUR):
        node_actions.end_due()
        tick()
        job.refresh_from_db()
        assert job.state == J.QUEUED
        assert job.message.startswith("Attempt 1: fake was emptied: New {disks}. Again in")
    with clock.shifted(HOUR + timedelta(minutes=1)):
        tick()
        job.refresh_from_db()
    assert (job.state, latest(job).node) == (J.RUNNING, other)
    assert list(Attempt.objects.filter(job=job).order_by("number").values_list("counted", flat=True)) == [False, None]


def test_a_cancelled_drain_lets_all_stay_and_says_so(
    people: People, node: Node, make_workspace: Make, settle: Make
) -> None:
    made = make_workspace(name="churn")
    settle()
    drain(node)
    for _ in range(2):
        node_actions.undrain(node, actor="ada")
    node.refresh_from_db()
    assert node.drain_at is None and node.cordoned_at is not None
    assert texts(people.vera)[1:] == ["fake is no longer emptied: churn stays."]
    with clock.shifted(2 * HOUR):
        node_actions.end_due()
        settle()
        assert latest(made).phase == Phase.RUNNING
    drain(node)
    assert len(texts(people.vera)) == 3
    node_actions.uncordon(node, actor="ada")
    node.refresh_from_db()
    assert not (node.drain_at or node.cordoned_at)
    verbs = AuditEvent.objects.filter(target=node.topic).order_by("id").values_list("verb", flat=True)
    assert list(verbs) == ["node.drain", "node.undrain", "node.drain", "node.undrain", "node.uncordon"]


def test_another_moment_takes_the_place_of_the_first_and_the_same_is_told_once(
    people: People, node: Node, make_workspace: Make, settle: Make
) -> None:
    make_workspace()
    settle()
    until = clock.now() + HOUR
    for moment, why in ((until, "Disks"), (until, "Disks"), (until, "New disks"), (until + HOUR, "New disks")):
        node_actions.drain(node, moment, why, actor="ada")
    assert len(texts(people.vera)) == 3
    with clock.shifted(HOUR + timedelta(minutes=1)):
        node_actions.end_due()
    assert Allocation.objects.get().desired == "run"


@pytest.mark.parametrize(
    ("after", "because", "field"),
    [(-HOUR, "New disks", "until"), (timedelta(days=8), "New disks", "until"), (HOUR, " ", "because")],
)
def test_a_wrong_moment_or_no_reason_is_refused(node: Node, after: timedelta, because: str, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        drain(node, after, because)
    assert list(refused.value.fields) == [field]
    node.refresh_from_db()
    assert node.cordoned_at is None


def test_the_page_says_what_runs_there_whose_it_is_and_when_it_ends(
    signed_in: SignIn, people: People, node: Node, make_workspace: Make, submit: Make, settle: Make
) -> None:
    devices.note(node, devices.declared({"a100": 1}))
    made = make_workspace(name="churn<i>")
    submit(name="train", max_duration_seconds=600)
    settle()
    admin = signed_in(people.ada)
    shown = page(admin, node)
    ends = words.point(latest_job().started_at + timedelta(seconds=600), clock.now())
    assert "churn&lt;i&gt;" in shown and "Vera Rosén, Vision" in shown and "A100 #0" in shown
    assert f">{ends}</time>" in shown and "2 hold a place" in shown and "by itself, or when it is stopped" in shown
    assert f"/allocations/{latest(made).pk}/stop/" in shown
    until = drain(node)
    shown = page(admin, node)
    assert "Being emptied" in shown and shown.count("at the latest") == 1
    assert f'What runs there is stopped at <time datetime="{until.isoformat()}"' in board(admin)
    assert f"/nodes/{node.pk}/" in admin.get("/health/").content.decode()


def latest_job() -> Any:
    return Allocation.objects.get(owner_kind="job")


def board(client: Client) -> str:
    return " ".join(client.get("/gpus/").content.decode().split())


def test_administrators_empty_it_on_its_page(signed_in: SignIn, people: People, node: Node) -> None:
    admin, path = signed_in(people.ada), f"/nodes/{node.pk}"
    until = f"{clock.now() + HOUR:%Y-%m-%dT%H:%M}"
    for wrong in ({}, {"until": until}, {"because": "New disks"}, {"until": "2020-01-01T00:00", "because": "x"}):
        answer = admin.post(f"{path}/drain/", wrong)
        assert answer.status_code == 422 and 'aria-invalid="true"' in answer.content.decode()
    assert admin.post(f"{path}/drain/", {"until": until, "because": "New disks"})["Location"] == f"{path}/"
    node.refresh_from_db()
    assert node.drain_at is not None and node.cordoned_because == "New disks"
    assert "it is empty, and can be taken away" in page(admin, node)
    assert admin.post(f"{path}/undrain/").status_code == 302
    assert admin.post(f"{path}/cordon/", {"closed": "no"})["Location"] == f"{path}/"
    assert admin.get("/nodes/nothing/").status_code == 404
    assert admin.get(f"{path}/drain/").status_code == 405


def test_nobody_else_sees_or_empties_a_node(signed_in: SignIn, people: People, node: Node) -> None:
    for user in (people.vera, people.luis, people.oda):
        client = signed_in(user)
        assert client.get(f"/nodes/{node.pk}/").status_code == 403
        for what in ("drain", "undrain"):
            assert client.post(f"/nodes/{node.pk}/{what}/", {"because": "x"}).status_code == 403
    node.refresh_from_db()
    assert node.cordoned_at is None


def test_the_page_asks_as_often_however_much_runs(
    signed_in: SignIn, people: People, node: Node, make_workspace: Make, settle: Make, django_assert_num_queries: Any
) -> None:
    make_workspace()
    settle()
    admin = signed_in(people.ada)
    page(admin, node)
    with django_assert_num_queries(14):
        page(admin, node)
    for _ in range(5):
        make_workspace()
    settle()
    with django_assert_num_queries(14):
        page(admin, node)


def test_the_api_empties_and_lets_stay(caller: Make, people: People, node: Node) -> None:
    ada, path = caller(people.ada), f"/nodes/{node.pk}"
    until = (clock.now() + HOUR).isoformat()
    drained = ada.post(f"{path}/drain/", {"until": until, "because": "New disks"})
    assert drained.status_code == 202 and drained.json()["drain_at"] and drained.json()["cordoned_at"]
    assert ada.post(f"{path}/undrain/").json()["drain_at"] is None
    assert_problem(ada.post(f"{path}/drain/", {"until": "soon", "because": "x"}), 422, "until")
    assert_problem(ada.post(f"{path}/drain/", {"until": until}), 422, "because")
    assert_problem(ada.post(f"{path}/drain/", {"until": "2020-01-01T00:00:00Z", "because": "x"}), 422, "until")
    assert_problem(caller(people.luis).post(f"{path}/drain/", {"until": until, "because": "x"}), 403)
    assert_problem(ada.post("/nodes/01ARZ3NDEKTSV4RRFFQ69G5FAV/drain/", {"until": until, "because": "x"}), 404)
