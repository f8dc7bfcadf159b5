"""What may happen to jobs, in any order: clicks, ticks, files that come or fail, deaths; and what must hold of them."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from environments.models import Volume
from environments.states import VolumeKind
from environments.volumes import home_of
from jobs import actions as jobs
from jobs import collecting, holding, scheduling, snapshots, sweeps
from jobs.models import Attempt, Job
from jobs.plan_models import Schedule, Sweep
from jobs.plan_states import AfterCondition, Hold, Missed, Overlap
from jobs.scheduling import ScheduleAsked
from jobs.states import FINAL, ArtifactsState, CodeState, J
from jobs.submission import Submission
from jobs.sweeps import SweepAsked
from portal.compute import admission
from portal.compute.logs import ChunkWriter
from portal.compute.models import Allocation
from portal.compute.reconcile import reconcile
from portal.compute.specs import container_name
from portal.lib import clock
from portal.lib.errors import Invalid
from runtimes.base import LogLine
from runtimes.fake_engine import FakeEngine

VERBS = ["ensure", "inspect", "freeze", "thaw", "stop", "remove"]
SIMPLE = Submission(template="python", command=["long"])
RULES: list[dict[str, Any]] = [{"log_contains": "busy", "then": "retry"}, {"exit_codes": [1], "then": "fail"}]
COMMANDS = st.sampled_from(["long", "quick", "bad"])
"""It runs until something ends it; it succeeds at once; it fails at once."""
CONDITIONS = st.sampled_from(AfterCondition.values)
FOLDERS = st.sampled_from(["", "src"])


class Killed(BaseException):
    """kill -9 in the middle of a step: no handler of ours may see it."""


@contextmanager
def killed_after(place: Any, name: str) -> Iterator[None]:
    """This was done, and then the process was gone: what it had in its hands is not written."""
    real = getattr(place, name)

    def killed(*args: Any, **options: Any) -> None:
        real(*args, **options)
        raise Killed

    setattr(place, name, killed)
    try:
        yield
    except Killed:
        pass
    finally:
        setattr(place, name, real)


class JobLife(RuleBasedStateMachine):
    """`engine`, `owner` and `folder`, below which the engine keeps volumes, are set by the test."""

    engine: FakeEngine
    owner: Any
    folder: Path
    jobs = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.endings: dict[str, tuple[str, str, datetime | None]] = {}
        self.begun_when_cancelled: dict[str, int] = {}

    @rule(
        target=jobs,
        command=COMMANDS,
        retries=st.integers(0, 2),
        limit=st.sampled_from([None, 60]),
        delay=st.sampled_from([0, 30]),
    )
    def submit(self, command: str, retries: int, limit: int | None, delay: int) -> Any:
        asked = replace(SIMPLE, command=[command], retries=retries, max_duration_seconds=limit)
        return jobs.submit(self.owner, replace(asked, retry_delay_seconds=delay), actor="vera").pk

    @rule(target=jobs, command=COMMANDS, retries=st.integers(0, 2))
    def submit_with_rules(self, command: str, retries: int) -> Any:
        asked = replace(SIMPLE, command=[command], retries=retries, retry_delay_seconds=0, retry_rules=RULES)
        return jobs.submit(self.owner, asked, actor="vera").pk

    @rule(target=jobs, command=COMMANDS, retries=st.integers(0, 1))
    def submit_with_code(self, command: str, retries: int) -> Any:
        asked = replace(SIMPLE, command=[command], folder="src", retries=retries)
        return jobs.submit(self.owner, asked, actor="vera").pk

    @rule(target=jobs, pk=jobs, condition=CONDITIONS, folder=FOLDERS)
    def submit_after(self, pk: str, condition: str, folder: str) -> Any:
        asked = replace(SIMPLE, after=[pk], after_condition=condition, folder=folder)
        try:
            return jobs.submit(self.owner, asked, actor="vera").pk
        except Invalid:
            return multiple()  # it has not succeeded, and never will

    @rule(command=COMMANDS, parallelism=st.integers(1, 2), retries=st.integers(0, 2))
    def submit_sweep(self, command: str, parallelism: int, retries: int) -> None:
        job = replace(SIMPLE, command=[command], retries=retries, retry_delay_seconds=0)
        asked = SweepAsked(job=job, space={"lr": [1, 2, 3]}, parallelism=parallelism)
        sweeps.submit(self.owner, asked, actor="vera")

    @rule(
        command=COMMANDS, overlap=st.sampled_from(Overlap.values), missed=st.sampled_from(Missed.values), folder=FOLDERS
    )
    def schedule(self, command: str, overlap: str, missed: str, folder: str) -> None:
        if Schedule.objects.count() > 1:
            return
        job = replace(SIMPLE, command=[command], folder=folder)
        asked = ScheduleAsked(job=job, cron="* * * * *", overlap=overlap, missed=missed)
        scheduling.create(self.owner, asked, actor="vera")

    @rule()
    def delete_schedules(self) -> None:
        for row in Schedule.objects.all():
            scheduling.delete(row, actor="vera")

    @rule()
    def cancel_sweeps(self) -> None:
        for sweep in Sweep.objects.all():
            sweeps.cancel(sweep, actor="vera")

    @rule(pk=jobs)
    def cancel(self, pk: str) -> None:
        jobs.cancel(Job.objects.get(pk=pk), actor="vera")

    @rule(pick=st.integers(0, 50))
    def cancel_any(self, pick: int) -> None:
        """Also those that nobody submitted by hand."""
        if found := list(Job.objects.order_by("pk")):
            jobs.cancel(found[pick % len(found)], actor="vera")

    @rule(target=jobs, pk=jobs)
    def run_again(self, pk: str) -> Any:
        job = Job.objects.select_related("snapshot").get(pk=pk)
        try:
            return jobs.rerun(job, self.owner, actor="vera").pk
        except Invalid:
            assert job.code_never_came
            return multiple()

    @rule(pk=jobs)
    def look_at_a_job(self, pk: str) -> None:
        for allocation in Attempt.objects.filter(job=pk).values_list("allocation", flat=True):
            reconcile(allocation)

    @rule(pk=jobs, verb=st.sampled_from(VERBS))
    def look_at_a_job_and_be_killed(self, pk: str, verb: str) -> None:
        for allocation in Attempt.objects.filter(job=pk).values_list("allocation", flat=True):
            with killed_after(self.engine.driver, verb):  # type: ignore[attr-defined]
                reconcile(allocation)

    @rule()
    def all_work(self) -> None:
        """As long as nothing is in their way."""
        self.tick_jobs()
        self.look_at_all_due()
        self.do_files()

    def look_at_all_due(self) -> None:
        admission.admit()
        for pk in Allocation.objects.filter(next_look_at__lte=clock.now()).values_list("pk", flat=True):
            reconcile(pk)

    @rule()
    def tick_jobs(self) -> None:
        jobs.end_overdue()
        jobs.settle_due()
        scheduling.run_due()
        sweeps.cancel_due()
        holding.release_due()
        jobs.begin_due()

    @rule(name=st.sampled_from(["_settle", "_begin", "_finish", "_tell"]))
    def tick_and_be_killed(self, name: str) -> None:
        with killed_after(jobs, name):
            self.tick_jobs()

    @rule(pk=jobs, text=st.sampled_from(["the database is busy", "no such column"]))
    def log_arrives(self, pk: str, text: str) -> None:
        """All of it, of the attempt that has just ended or has not yet."""
        for row in Allocation.objects.filter(attempt__job=pk, attempt__counted=None, log_state="open"):
            writer = ChunkWriter(row)
            writer.add(LogLine(clock.now(), "stdout", text))
            writer.flush()
            Allocation.objects.filter(pk=row.pk, phase="ended").update(log_state="complete")

    @rule()
    def folders_are_made(self) -> None:
        """Of volumes that the engine does not have yet; a home has a folder `src`."""
        home_of(self.owner)
        for volume in Volume.objects.all():
            where = self.folder / volume.engine_name
            file = where / ("src/train.py" if volume.kind == VolumeKind.HOME else "outputs/model")
            if not where.exists():
                file.parent.mkdir(parents=True)
                file.write_text("1")
        Volume.objects.filter(made_at=None).update(made_at=clock.now())

    @rule()
    def the_folder_in_the_home_goes_or_comes_back(self) -> None:
        for volume in Volume.objects.filter(kind=VolumeKind.HOME):
            source, gone = self.folder / volume.engine_name / "src", self.folder / volume.engine_name / "gone"
            if source.exists():
                source.rename(gone)
            elif gone.exists():
                gone.rename(source)

    @rule()
    def do_files(self) -> None:
        collecting.copy_one()
        collecting.collect_one()

    @rule()
    def copy_and_be_killed(self) -> None:
        with killed_after(collecting, "_copied"):
            collecting.copy_one()

    @rule(name=st.sampled_from(["arrived", "failed"]))
    def copy_and_be_killed_thereafter(self, name: str) -> None:
        with killed_after(snapshots, name):
            collecting.copy_one()

    @rule()
    def collect_and_be_killed(self) -> None:
        with killed_after(collecting, "publish"):
            collecting.collect_one()

    @rule(what=st.sampled_from(["_copied", "_hashed"]))
    def cancel_all_while_files_are_done(self, what: str) -> None:
        real = getattr(collecting, what)

        def cancelled_meanwhile(*args: Any) -> Any:
            done = real(*args)
            for job in Job.objects.filter(cancelled_by=""):
                jobs.cancel(job, actor="vera")
            return done

        setattr(collecting, what, cancelled_meanwhile)
        try:
            self.do_files()
        finally:
            setattr(collecting, what, real)

    @invariant()
    def jobs_end_once(self) -> None:
        rows = Job.objects.filter(state__in=FINAL).values_list("pk", "state", "reason", "ended_at")
        now = {pk: (state, reason, ended_at) for pk, state, reason, ended_at in rows}
        assert {pk: now.get(pk) for pk in self.endings} == self.endings
        self.endings = now

    @invariant()
    def attempts_follow_each_other(self) -> None:
        """Numbered from 1 without a gap, one under way at most, and none begun once it was cancelled."""
        begun = defaultdict[str, list[bool | None]](list)
        rows = Attempt.objects.order_by("job", "number").values_list("job", "number", "counted")
        for pk, number, counted in rows:
            begun[pk].append(counted)
            assert number == len(begun[pk])
            assert begun[pk].count(None) <= 1
        for pk in Job.objects.exclude(cancelled_by="").values_list("pk", flat=True):
            assert len(begun[pk]) == self.begun_when_cancelled.setdefault(pk, len(begun[pk]))

    def calm_jobs(self) -> None:
        """All that is due is done, and nobody asks for more."""
        self.delete_schedules()
        self.folders_are_made()
        self.tick_jobs()
        self.do_all_files()

    def do_all_files(self) -> None:
        while collecting.copy_one() or collecting.collect_one():
            pass

    def assert_jobs_arrived(self) -> None:
        for job in Job.objects.select_related("snapshot"):
            last = job.attempts.select_related("allocation").last()
            runs = last is not None and container_name(last.allocation) in self.engine.containers
            assert runs == (job.state == J.RUNNING), (job.state, job.message)
            assert job.over or runs or held_rightly(job)
            assert job.attempts.filter(counted=True).count() <= job.retries + 1
            assert job.state != J.FAILED or job.message
            assert job.over or job.snapshot is None or job.snapshot.state == CodeState.READY
            assert job.artifacts_state != ArtifactsState.WAITING
            kept = list(job.artifacts.values_list("path", flat=True))
            assert kept == (["outputs/model"] if job.artifacts_state == ArtifactsState.COMPLETE else [])


def held_rightly(job: Job) -> bool:
    """What it waits for goes on, or its sweep runs as many points as it may."""
    if job.hold == Hold.AFTER:
        return job.after.filter(ended_at=None).exists()
    sweep = job.sweep
    running = sweep.jobs.filter(state=J.RUNNING).count() if sweep else None
    return job.hold == Hold.TURN and sweep is not None and running == sweep.parallelism
