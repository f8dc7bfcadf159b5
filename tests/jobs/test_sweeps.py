"""Sweeps over the fake engine: all points at once, so many under way, cancelled together."""

from collections.abc import Callable
from typing import Any

import pytest

from jobs import actions, holding, sweeps
from jobs.models import Attempt, Job
from jobs.plan_models import Sweep
from jobs.states import UNFINISHED, J
from portal.audit.models import AuditEvent
from portal.compute.models import Node
from portal.invariants import violations
from portal.lib.errors import Invalid
from runtimes.fake_engine import FakeEngine
from tests.conftest import People
from tests.jobs.plans import make_sweep
from tests.jobs.test_life import ends, now_running

pytestmark = pytest.mark.django_db
Sweeping = Callable[..., Sweep]
Tick = Callable[..., None]


@pytest.fixture
def sweep(people: People, catalog: None) -> Sweeping:
    """Submit a sweep of twelve points, of which two run at once."""

    def make(owner: Any = None, **values: Any) -> Sweep:
        return make_sweep(owner or people.vera, **values)

    return make


def under_way(made: Sweep) -> list[int | None]:
    return list(made.jobs.filter(state__in=UNFINISHED, hold="").order_by("point").values_list("point", flat=True))


def test_all_points_are_made_and_so_many_run(sweep: Sweeping, tick: Tick, fake_engine: FakeEngine) -> None:
    made = sweep(name="lr search")
    tick()
    jobs = list(made.jobs.order_by("point"))
    assert [job.point for job in jobs] == list(range(1, 13))
    assert [job.parameters for job in jobs[:2]] == [{"lr": 0.1, "depth": 3}, {"lr": 0.1, "depth": 5}]
    assert [job.name for job in jobs[:2]] == ["lr search #1", "lr search #2"]
    assert [job.state for job in jobs] == [J.RUNNING] * 2 + [J.QUEUED] * 10
    assert jobs[6].message == "Point 7 of 12 waits for its turn: 2 run at once"
    assert fake_engine.containers[now_running(jobs[0])].spec.command[-2:] == ("train", "--lr=0.1")
    assert len({job.volume_id for job in jobs}) == 12
    assert list(AuditEvent.objects.filter(target=made.topic).values_list("verb", flat=True)) == ["sweep.submit"]
    assert violations(fake_engine.driver) == []  # type: ignore[attr-defined]


def test_the_next_ones_follow_in_order_until_all_are_done(sweep: Sweeping, tick: Tick, fake_engine: FakeEngine) -> None:
    made = sweep()
    done: list[int | None] = []
    for _ in range(12):
        tick(1)
        now = under_way(made)
        assert len(now) == min(2, 12 - len(done))
        fake_engine.end(now_running(made.jobs.get(point=now[-1])), 0)
        done.append(now[-1])
        tick(1)
    assert sorted(done, key=str) == sorted(range(1, 13), key=str)
    assert set(made.jobs.values_list("state", flat=True)) == {J.SUCCEEDED}


def test_one_that_is_tried_again_keeps_its_place(sweep: Sweeping, tick: Tick, fake_engine: FakeEngine) -> None:
    ends(fake_engine, "train", "--lr=0.1", exit_code=3)
    made = sweep(job={"retries": 1, "retry_delay_seconds": 600})
    tick()
    assert under_way(made) == [1, 2]
    assert Attempt.objects.filter(job__sweep=made).count() == 2


def test_a_random_sweep_is_the_same_again(sweep: Sweeping) -> None:
    values: dict[str, Any] = {"kind": "random", "space": {"lr": {"min": 0.001, "max": 1, "log": True}}, "count": 20}
    first, second = sweep(**values, seed=7), sweep(**values, seed=7)
    drawn = [list(made.jobs.order_by("point").values_list("parameters", flat=True)) for made in (first, second)]
    assert drawn[0] == drawn[1]
    assert first.count == 20


def test_cancelling_ends_all_points(sweep: Sweeping, tick: Tick, fake_engine: FakeEngine) -> None:
    made = sweep()
    tick()
    sweeps.cancel(made, actor="vera")
    sweeps.cancel(made, actor="vera")
    tick()
    assert set(made.jobs.values_list("state", flat=True)) == {J.CANCELLED}
    assert Attempt.objects.count() == 2
    assert made.jobs.get(point=12).message == "Cancelled by vera with its sweep."
    assert AuditEvent.objects.filter(verb="sweep.cancel").count() == 1
    assert violations(fake_engine.driver) == []  # type: ignore[attr-defined]


def test_cancelling_many_takes_a_bounded_number_at_a_time(
    sweep: Sweeping, tick: Tick, monkeypatch: pytest.MonkeyPatch, fake_engine: FakeEngine
) -> None:
    monkeypatch.setattr(sweeps, "BATCH", 2)
    made = sweep(parallelism=5)
    tick()
    sweeps.cancel(made, actor="vera")
    made.refresh_from_db()
    assert made.cancelling
    assert made.jobs.filter(cancelled_by="").count() == 3
    tick(3)
    made.refresh_from_db()
    assert not made.cancelling
    assert set(made.jobs.values_list("state", flat=True)) == {J.CANCELLED}


def test_what_has_ended_is_not_cancelled(sweep: Sweeping, tick: Tick, fake_engine: FakeEngine) -> None:
    for rate in (0.1, 0.01, 0.001):
        ends(fake_engine, "train", f"--lr={rate}", exit_code=0)
    made = sweep(parallelism=12)
    tick()
    sweeps.cancel(made, actor="vera")
    made.refresh_from_db()
    assert made.cancelled_by == ""
    assert set(made.jobs.values_list("state", flat=True)) == {J.SUCCEEDED}


def test_a_sweep_may_wait_for_a_job(
    sweep: Sweeping, submit: Callable[..., Job], tick: Tick, fake_engine: FakeEngine
) -> None:
    first = submit(name="prepare")
    made = sweep(job={"after": [first.pk]})
    tick()
    assert set(made.jobs.values_list("message", flat=True)) == {"Waits for prepare to succeed"}
    fake_engine.end(now_running(first), 0)
    tick()
    assert under_way(made) == [1, 2]
    assert made.jobs.get(point=3).message == "Point 3 of 12 waits for its turn: 2 run at once"


def test_five_hundred_held_points_cost_two_queries(
    sweep: Sweeping, fake_engine: FakeEngine, django_assert_num_queries: Any
) -> None:
    made = sweep(space={"lr": [n / 1000 for n in range(500)]})
    assert under_way(made) == [1, 2]
    with django_assert_num_queries(2):
        holding.release_due()
    actions.begin_due()
    with django_assert_num_queries(3):
        holding.release_due()
        actions.begin_due()


def test_making_many_points_costs_a_fixed_number_of_queries(
    sweep: Sweeping, fake_engine: FakeEngine, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(60):
        made = sweep(space={"lr": [n / 1000 for n in range(1000)]}, job={"env": {"A": "b"}})
    assert made.jobs.count() == 1000


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"parallelism": 0}, "parallelism"),
        ({"parallelism": 1001}, "parallelism"),
        ({"goal": "best"}, "goal"),
        ({"metric": "lo\nss"}, "metric"),
        ({"metric": "x" * 101}, "metric"),
        ({"kind": "spiral"}, "kind"),
        ({"space": {"lr": []}}, "space.lr"),
        ({"space": {"9": [1]}}, "job.parameters"),
        ({"space": {"depth": [1]}}, "job.command"),
        ({"job": {"template": "nothing"}}, "job.template"),
        ({"job": {"size": "huge"}}, "job.size"),
        ({"job": {"secrets": ["NONE"]}}, "job.secrets"),
        ({"job": {"after": ["01ARZ3NDEKTSV4RRFFQ69G5FAV"]}}, "job.after"),
        ({"name": "x" * 61}, "name"),
    ],
)
def test_what_is_refused_names_its_field_and_makes_nothing(sweep: Sweeping, values: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as problem:
        sweep(**values)
    assert set(problem.value.fields) == {field}
    assert not Job.objects.exists()
    assert not Sweep.objects.exists()


def test_what_no_node_can_take_is_refused(sweep: Sweeping) -> None:
    Node.objects.update(cpu="0.1", schedulable_cpu="0.1")
    with pytest.raises(Invalid) as problem:
        sweep()
    assert set(problem.value.fields) == {"job.size"}
