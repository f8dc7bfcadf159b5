"""Jobs whose GPUs do nothing: told once, taken back when they work, stopped only after the whole warning."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from jobs import idle_gpus
from jobs.models import Attempt, Job
from jobs.states import J
from portal.compute import devices
from portal.compute.models import GIB, Allocation, Node, Sample
from portal.compute.states import Reason
from portal.invariants import violations
from portal.lib import clock
from portal.notices.models import Notice
from portal.notices.states import Kind
from portal.quotas.models import GpuClass
from runtimes.base import Gpu
from tests.conftest import People

pytestmark = pytest.mark.django_db
Submit = Callable[..., Job]
Tick = Callable[..., None]
MINUTE = timedelta(minutes=1)
HOUR = 60 * MINUTE


@pytest.fixture
def job(submit: Submit, tick: Tick) -> Job:
    """It runs on a GPU of a class whose jobs are stopped after an hour without work."""
    GpuClass.objects.update(each_person=None, each_team=None)
    GpuClass.objects.filter(slug="a100").update(idle_minutes=60, when_idle="stop")
    devices.note(Node.objects.get(), [Gpu("GPU-0", "NVIDIA A100-SXM4-80GB", 0, 80 * GIB, 0.0)])
    made = submit(size="gpu-1", retries=2, retry_delay_seconds=0)
    tick()
    made.refresh_from_db()
    assert made.state == J.RUNNING
    return made


def measured(gpu: float | None, *, since: timedelta = HOUR, until: timedelta = timedelta(), every: int = 5) -> None:
    """Samples of the job from so long ago to so long ago."""
    allocation, now = Allocation.objects.get(phase="running"), clock.now()
    first, last = int((since + idle_gpus.GAP / 2).total_seconds()), int(until.total_seconds())
    Sample.objects.bulk_create(
        Sample(allocation=allocation, at=now - timedelta(seconds=ago), cpu=0.1, memory=GIB, gpu=gpu)
        for ago in range(first, last, -every)
    )


def told() -> list[str]:
    idle_gpus.settle_due()
    return list(Notice.objects.filter(kind=Kind.JOB_GPUS_IDLE).values_list("text", flat=True))


def desired() -> str:
    idle_gpus.settle_due()
    return Allocation.objects.latest("id").desired


def test_its_owner_is_told_once_and_it_is_stopped_after_the_whole_warning(
    people: People, job: Job, tick: Tick, signed_in: Callable[[Any], Client]
) -> None:
    measured(0.0)
    assert (
        told()
        == told()
        == [f"The GPUs of job {job.name} did no work for 1 h. It is stopped in 15 min, unless they work again."]
    )
    assert "idle: it is stopped" in signed_in(people.vera).get(job.get_absolute_url()).content.decode()
    with clock.shifted(14 * MINUTE):
        measured(0.01)
        assert desired() == "run"
    with clock.shifted(15 * MINUTE):
        measured(0.01)
        assert desired() == "end"
        tick()
    job.refresh_from_db()
    assert (job.state, job.reason) == (J.FAILED, Reason.IDLE)
    assert job.message == "Its GPUs did no work for 1 h 15 m."
    assert job.attempts.count() == 1  # what idled once would idle again
    assert violations() == []


def test_work_takes_the_warning_back_and_the_hour_begins_anew(job: Job) -> None:
    measured(0.0)
    assert len(told()) == 1
    with clock.shifted(10 * MINUTE):
        measured(0.9, since=MINUTE)
        idle_gpus.settle_due()
        assert Attempt.objects.get().idle_told_at is None
    with clock.shifted(69 * MINUTE):
        measured(0.0, since=59 * MINUTE)
        assert desired() == "run"
        assert len(told()) == 1
    with clock.shifted(75 * MINUTE):
        measured(0.0)
        assert desired() == "run"
        assert len(told()) == 2


A_MINUTE_AMIDST = {"since": 30 * MINUTE, "until": 29 * MINUTE}


@pytest.mark.parametrize(
    "samples",
    [
        [],
        [(None, {})],
        [(0.06, {})],
        [(0.0, {"since": 59 * MINUTE})],
        [(0.0, {"until": 2 * MINUTE})],
        [(0.0, {"every": 20})],
        [(0.0, {}), (None, A_MINUTE_AMIDST)],
        [(0.0, {}), (0.5, A_MINUTE_AMIDST)],
    ],
    ids=["never", "by nobody", "some work", "not yet", "no longer", "too seldom", "once by nobody", "once at work"],
)
def test_what_was_not_measured_all_that_time_or_worked_is_not_idle(
    job: Job, samples: list[tuple[float | None, dict[str, Any]]]
) -> None:
    for gpu, when in samples:
        measured(gpu, **when)
    assert told() == []


def test_a_class_may_only_tell_and_says_nothing_without_a_rule(job: Job) -> None:
    rule = GpuClass.objects.filter(slug="a100")
    measured(0.0)
    rule.update(idle_minutes=None)
    assert told() == []
    rule.update(idle_minutes=60, when_idle="warn")
    assert told() == [f"The GPUs of job {job.name} did no work for 1 h."]
    with clock.shifted(HOUR):
        measured(0.0)
        assert desired() == "run"
