"""A job from submission to its end over the fake engine: attempts, retries by cause, limits, cancel races."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from environments.models import Image
from environments.states import ImageState
from jobs import actions
from jobs.models import Attempt, Job
from jobs.states import MOST_UNCOUNTED, ArtifactsState, J
from portal.audit.models import AuditEvent
from portal.compute.models import GIB, Allocation, Node, Transition
from portal.compute.specs import container_name
from portal.compute.states import Phase, Reason
from portal.invariants import violations
from portal.lib import clock
from portal.lib.errors import Invalid
from portal.usage.models import UsageInterval
from runtimes.fake_engine import FakeEngine, Fault, Program
from tests.conftest import People

pytestmark = pytest.mark.django_db
Submit = Callable[..., Job]
Tick = Callable[..., None]


def ends(engine: FakeEngine, *command: str, **how: Any) -> None:
    """From now on such a command ends at once."""
    engine.programs[("bash", "-c", '. "$BERTH_FILES/job"', "job", *command)] = Program(**how)


def now_running(job: Job) -> str:
    """Its container's name."""
    return container_name(Allocation.objects.get(attempt__job=job, attempt__counted=None))


def reasons(job: Job) -> list[str]:
    return list(Attempt.objects.filter(job=job).values_list("allocation__reason", flat=True))


def test_a_job_runs_to_its_end(submit: Submit, tick: Tick, fake_engine: FakeEngine) -> None:
    job = submit()
    tick()
    job.refresh_from_db()
    assert (job.state, job.attempts.count()) == (J.RUNNING, 1)
    spec = fake_engine.containers[now_running(job)].spec
    assert spec.port is None
    assert spec.command[-2:] == ("python", "train.py")
    assert (spec.environment["BERTH_JOB"], spec.environment["BERTH_ATTEMPT"]) == (job.pk, "1")
    assert {(m.target, m.read_only) for m in spec.mounts} >= {("/home/berth", False), ("/data/home", True)}
    assert b'"$@"' in fake_engine.containers[now_running(job)].files["/run/berth/job"]
    fake_engine.end(now_running(job), 0)
    tick()
    job.refresh_from_db()
    assert (job.state, job.exit_code, job.reason) == (J.SUCCEEDED, 0, Reason.COMPLETED)
    assert job.artifacts_state == ArtifactsState.WAITING
    assert violations(fake_engine.driver) == []  # type: ignore[attr-defined]
    assert list(AuditEvent.objects.filter(target=job.topic).values_list("verb", flat=True)) == ["job.submit"]


def test_one_that_ends_at_once_is_metered_from_start_to_finish(
    submit: Submit, tick: Tick, fake_engine: FakeEngine
) -> None:
    ends(fake_engine, "true", exit_code=0)
    job = submit(command=["true"])
    tick()
    job.refresh_from_db()
    row = Allocation.objects.get(attempt__job=job)
    assert job.state == J.SUCCEEDED
    assert [t.to_phase for t in row.transitions.all()] == ["pending", "admitted", "creating", "starting", "ended"]
    assert (row.started_at, row.ended_at) == (job.begun_at, job.ended_at)
    assert UsageInterval.objects.filter(allocation_id=row.pk, ended_at__isnull=False).count() == 2


def test_placeholders_are_filled_in_and_nothing_else(submit: Submit, tick: Tick, fake_engine: FakeEngine) -> None:
    given = {"lr": 0.5, "amp": True, "name": "{secret}"}
    job = submit(command=["run", "--lr={parameters.lr}", "{parameters.amp}", "{secret} {port}"], parameters=given)
    tick()
    spec = fake_engine.containers[now_running(job)].spec
    assert spec.command[4:] == ("run", "--lr=0.5", "true", "{secret} {port}")
    assert spec.environment["BERTH_PARAMETERS"] == '{"lr": 0.5, "amp": true, "name": "{secret}"}'


def test_a_failure_is_final_without_retries(submit: Submit, tick: Tick, fake_engine: FakeEngine) -> None:
    ends(fake_engine, "bad", exit_code=3)
    job = submit(command=["bad"])
    tick()
    job.refresh_from_db()
    assert (job.state, job.exit_code, job.message) == (J.FAILED, 3, "The process ended with exit code 3.")


def test_retries_wait_longer_each_time_and_then_it_has_failed(
    submit: Submit, tick: Tick, fake_engine: FakeEngine
) -> None:
    ends(fake_engine, "bad", exit_code=3)
    job = submit(command=["bad"], retries=2, retry_delay_seconds=60)
    at, waited = timedelta(0), []
    for _ in range(2):
        with clock.shifted(at):
            tick()
            job.refresh_from_db()
            assert job.state == J.QUEUED
            assert job.begin_at is not None
            waited.append(round((job.begin_at - clock.now()).total_seconds() / 60))
        at += timedelta(seconds=60 * 2 ** len(waited))
    with clock.shifted(at):
        tick()
    job.refresh_from_db()
    assert waited == [1, 2]
    assert (job.state, job.attempts.count()) == (J.FAILED, 3)
    assert set(job.attempts.values_list("counted", flat=True)) == {True}


def test_out_of_memory_is_not_tried_again_unless_a_rule_says_so(
    submit: Submit, tick: Tick, fake_engine: FakeEngine
) -> None:
    ends(fake_engine, "big", exit_code=137, out_of_memory=True)
    job = submit(command=["big"], retries=3)
    ruled = submit(command=["big"], retries=1, retry_delay_seconds=0, retry_rules=[{"reason": "oom", "then": "retry"}])
    tick()
    job.refresh_from_db()
    ruled.refresh_from_db()
    assert (job.state, job.attempts.count()) == (J.FAILED, 1)
    assert "out of memory" in job.message
    assert ruled.attempts.count() == 2


def test_a_larger_size_where_a_rule_allows_it_until_there_is_none(
    submit: Submit, tick: Tick, fake_engine: FakeEngine, people: People
) -> None:
    ends(fake_engine, "big", exit_code=137, out_of_memory=True)
    rules = [{"reason": "oom", "then": "larger"}]
    job = submit(command=["big"], size="small", retries=5, retry_delay_seconds=60, retry_rules=rules)
    tick(1)
    job.refresh_from_db()
    assert (job.state, job.size_id) == (J.QUEUED, "medium")
    assert job.message.endswith("Again as medium in 1 min.")
    for minutes in (2, 6):
        with clock.shifted(timedelta(minutes=minutes)):
            tick()
    job.refresh_from_db()
    ran = list(job.attempts.order_by("number").values_list("allocation__size", "allocation__memory"))
    assert ran == [("small", 2 * GIB), ("medium", 4 * GIB), ("large", 16 * GIB)]
    assert (job.state, job.size_id) == (J.FAILED, "large")
    assert job.message.endswith("Python has no larger size than large.")
    assert actions.rerun(job, people.vera, actor="vera").size_id == "large"


def test_no_larger_size_than_its_retries_allow(submit: Submit, tick: Tick, fake_engine: FakeEngine) -> None:
    ends(fake_engine, "big", exit_code=137, out_of_memory=True)
    rules = [{"reason": "oom", "then": "larger"}]
    jobs = [submit(command=["big"], retries=n, retry_delay_seconds=0, retry_rules=rules) for n in (0, 1)]
    tick()
    for job, size in zip(jobs, ("small", "medium"), strict=True):
        job.refresh_from_db()
        assert (job.state, job.size_id) == (J.FAILED, size)
        assert "no larger size" not in job.message


def test_code_that_cannot_be_fetched_is_named(submit: Submit, tick: Tick, fake_engine: FakeEngine) -> None:
    ends(fake_engine, "cat", exit_code=66)
    url = "https://git.example.org/team/churn.git"
    job, known, plain = (
        submit(command=["cat"], **values) for values in ({"git_url": url, "git_ref": "main"}, {"git_url": url}, {})
    )
    Job.objects.filter(pk=known.pk).update(git_commit="a" * 40)
    tick()
    said = dict(Job.objects.values_list("pk", "message"))
    assert said[job.pk] == f"Its code could not be fetched from {url} at main; its log says why."
    assert said[known.pk] == said[plain.pk] == "The process ended with exit code 66."


def test_rules_look_at_exit_code_and_log(submit: Submit, tick: Tick, fake_engine: FakeEngine) -> None:
    ends(fake_engine, "flaky", exit_code=9)
    column = {"exit_codes": [9], "log_contains": "no such column", "then": "fail"}
    rules = [column, {"exit_codes": [9], "then": "retry"}]
    job = submit(command=["flaky"], retries=5, retry_delay_seconds=0, retry_rules=rules)
    tick(1)
    job.refresh_from_db()
    assert (job.state, job.message) == (J.STOPPING, "Looking at its log")
    _collect(job, "hello")
    tick(1)
    assert job.attempts.count() == 2
    _collect(job, "KeyError: no such column: age")
    tick(1)
    job.refresh_from_db()
    assert (job.state, job.attempts.count()) == (J.FAILED, 2)


def test_a_rule_looks_at_the_log_of_what_ran_out_of_memory_too(
    submit: Submit, tick: Tick, fake_engine: FakeEngine
) -> None:
    ends(fake_engine, "big", exit_code=137, out_of_memory=True)
    rule = {"reason": "oom", "log_contains": "batch of 512", "then": "retry"}
    job = submit(command=["big"], retries=1, retry_delay_seconds=0, retry_rules=[rule])
    tick(1)
    _collect(job, "a batch of 512")
    tick(1)
    assert job.attempts.count() == 2


def _collect(job: Job, text: str) -> None:
    """What the agent does with the log of the attempt that has just ended."""
    from portal.compute.logs import ChunkWriter
    from runtimes.base import LogLine

    row = Allocation.objects.get(attempt__job=job, attempt__counted=None)
    writer = ChunkWriter(row)
    writer.add(LogLine(clock.now(), "stdout", text))
    writer.flush()
    Allocation.objects.filter(pk=row.pk).update(log_state="complete")


def test_a_lost_container_does_not_count(submit: Submit, tick: Tick, fake_engine: FakeEngine) -> None:
    job = submit(retry_delay_seconds=0)
    tick(1)
    fake_engine.vanish(now_running(job))
    tick()
    job.refresh_from_db()
    assert job.state == J.RUNNING
    assert list(job.attempts.values_list("counted", flat=True)) == [False, None]
    fake_engine.end(now_running(job), 0)
    tick()
    job.refresh_from_db()
    assert job.state == J.SUCCEEDED


def test_a_machine_that_loses_it_each_time_ends_it(submit: Submit, tick: Tick, fake_engine: FakeEngine) -> None:
    job = submit(retry_delay_seconds=0)
    for _ in range(MOST_UNCOUNTED + 1):
        tick(1)
        fake_engine.vanish(now_running(job))
        tick(1)
    job.refresh_from_db()
    assert (job.state, job.attempts.count()) == (J.LOST, MOST_UNCOUNTED + 1)


def test_it_ends_when_its_time_is_up(submit: Submit, tick: Tick, fake_engine: FakeEngine) -> None:
    job = submit(max_duration_seconds=60, retries=3)
    tick()
    with clock.shifted(timedelta(seconds=61)):
        tick(1)
        job.refresh_from_db()
        assert job.state in (J.STOPPING, J.TIMED_OUT)
        tick()
    job.refresh_from_db()
    assert (job.state, job.reason) == (J.TIMED_OUT, Reason.MAX_DURATION)
    assert job.message == "It ran longer than the 1 min it was given."


def test_grace_is_what_was_asked_for(submit: Submit, tick: Tick, fake_engine: FakeEngine) -> None:
    ends(fake_engine, "stubborn", on_stop=0)
    job = submit(command=["python", "train.py"], grace_seconds=300)
    tick()
    name = now_running(job)
    stopped: list[bool] = []
    driver = fake_engine.driver  # type: ignore[attr-defined]
    driver.stop = lambda name, force=False: stopped.append(force)  # a program that does not listen
    actions.cancel(job, actor="vera")
    tick(1)
    with clock.shifted(timedelta(seconds=200)):
        tick(1)
    assert stopped == [False]
    with clock.shifted(timedelta(seconds=301)):
        tick(1)
    assert True in stopped
    fake_engine.end(name, 137)
    tick()
    job.refresh_from_db()
    assert job.state == J.CANCELLED


@pytest.mark.parametrize("rounds", [0, 1, 2])
def test_cancel_at_any_time(submit: Submit, tick: Tick, settle: Tick, fake_engine: FakeEngine, rounds: int) -> None:
    job = submit(retries=3)
    settle(rounds)
    actions.cancel(job, actor="vera")
    actions.cancel(job, actor="vera")
    tick()
    job.refresh_from_db()
    assert (job.state, job.attempts.count()) == (J.CANCELLED, 1)
    assert violations(fake_engine.driver) == []  # type: ignore[attr-defined]


def test_cancel_between_attempts(submit: Submit, tick: Tick, fake_engine: FakeEngine) -> None:
    ends(fake_engine, "bad", exit_code=3)
    job = submit(command=["bad"], retries=3, retry_delay_seconds=60)
    tick()
    actions.cancel(job, actor="vera")
    with clock.shifted(timedelta(minutes=5)):
        tick()
    job.refresh_from_db()
    assert (job.state, job.attempts.count(), job.message) == (J.CANCELLED, 1, "Cancelled by vera.")


def test_what_ended_first_counts(submit: Submit, tick: Tick, fake_engine: FakeEngine) -> None:
    """It succeeded before anybody could stop it; cancelling what is over changes nothing."""
    job = submit()
    tick()
    fake_engine.end(now_running(job), 0)
    tick()
    actions.cancel(job, actor="vera")
    job.refresh_from_db()
    assert (job.state, job.cancelled_by) == (J.SUCCEEDED, "")


def test_what_no_node_can_take_is_refused_at_once(submit: Submit) -> None:
    Node.objects.update(cpu=Decimal("0.1"), schedulable_cpu=Decimal("0.1"))
    with pytest.raises(Invalid) as problem:
        submit()
    assert "size" in problem.value.fields
    assert not Job.objects.exists()


def test_an_attempt_that_no_node_can_take_any_more_ends_the_job_with_the_reason(
    submit: Submit, tick: Tick, fake_engine: FakeEngine
) -> None:
    ends(fake_engine, "bad", exit_code=3)
    job = submit(command=["bad"], retries=3, retry_delay_seconds=60)
    tick(1)
    Node.objects.update(cpu=Decimal("0.1"))
    with clock.shifted(timedelta(seconds=61)):
        tick(1)
    job.refresh_from_db()
    assert job.attempts.count() == 1
    assert (job.state, "never fits" in job.message) == (J.FAILED, True)


def test_an_engine_that_does_not_answer_ends_nothing(submit: Submit, tick: Tick, fake_engine: FakeEngine) -> None:
    job = submit()
    tick()
    fake_engine.inject(Fault.HANG, "inspect", times=50)
    tick()
    job.refresh_from_db()
    assert job.state == J.RUNNING


def test_running_again_repeats_what_ran(submit: Submit, tick: Tick, fake_engine: FakeEngine, people: People) -> None:
    job = submit(
        command=["python", "train.py", "{parameters.lr}"],
        parameters={"lr": 0.1},
        git_url="https://git.example.org/team/churn.git",
        git_ref="main",
        retries=2,
        outputs=["model"],
    )
    tick()
    Job.objects.filter(pk=job.pk).update(git_commit="a" * 40)
    job.refresh_from_db()
    again = actions.rerun(job, people.vera, actor="vera")
    assert (again.rerun_of_id, again.git_ref, again.parameters, again.retries) == (job.pk, "a" * 40, {"lr": 0.1}, 2)
    assert again.volume_id != job.volume_id
    assert again.outputs == ["model"]


def test_fifty_jobs_drain_as_the_node_allows(submit: Submit, tick: Tick, fake_engine: FakeEngine) -> None:
    Node.objects.update(cpu=Decimal(4), schedulable_cpu=Decimal(4))
    ends(fake_engine, "quick", exit_code=0)
    made = [submit(command=["quick"]) for _ in range(50)]
    for _ in range(60):
        tick(1)
        if not Job.objects.exclude(state=J.SUCCEEDED).exists():
            break
    assert Job.objects.filter(state=J.SUCCEEDED).count() == 50
    placed = Transition.objects.filter(to_phase=Phase.ADMITTED).order_by("pk")
    assert list(placed.values_list("allocation__owner_id", flat=True)) == [job.pk for job in made]


def test_a_fault_of_ours_with_one_job_holds_up_no_other(
    submit: Submit, tick: Tick, fake_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends(fake_engine, "bad", exit_code=3)
    poisoned, other = (submit(command=["bad"], retries=1, retry_delay_seconds=0) for _ in range(2))
    from jobs.spec import spec_of as real

    def spec_of(job: Job, number: int) -> dict[str, Any]:
        if job.pk == poisoned.pk:
            raise ZeroDivisionError
        return real(job, number)

    monkeypatch.setattr(actions, "spec_of", spec_of)
    tick()
    assert (poisoned.attempts.count(), other.attempts.count()) == (1, 2)


def test_a_job_has_an_image_pulled_again_that_failed_before(submit: Submit, tick: Tick) -> None:
    failed = {"state": ImageState.FAILED, "context": "", "failed_at": clock.now()}
    python = Image.objects.filter(versions__template="python")
    assert python.update(**failed)
    job = submit()
    tick()
    job.refresh_from_db()
    assert (job.state, python.get().state) == (J.STARTING, ImageState.QUEUED)
    python.update(**failed | {"failed_at": clock.now()})
    tick()
    job.refresh_from_db()
    assert (job.state, job.reason) == (J.FAILED, Reason.IMAGE_ERROR)
