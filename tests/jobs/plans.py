"""Sweeps and schedules for tests."""

from typing import Any

from jobs import scheduling, sweeps
from jobs.models import Attempt, Job, Scalar
from jobs.plan_models import Schedule, Sweep
from jobs.scheduling import ScheduleAsked
from jobs.submission import Submission
from jobs.sweeps import SweepAsked
from portal.compute.models import Allocation
from portal.compute.states import Phase
from portal.lib import clock

GRID = {"lr": [0.1, 0.01, 0.001], "depth": [3, 5, 7, 9]}


def make_sweep(owner: Any, job: dict[str, Any] | None = None, **values: Any) -> Sweep:
    """Twelve points, of which two run at once."""
    base: dict[str, Any] = {"template": "python", "command": ["train", "--lr={parameters.lr}"]}
    asked: dict[str, Any] = {"space": GRID, "parallelism": 2, "metric": "loss"}
    made = SweepAsked(job=Submission(**(base | (job or {}))), **(asked | values))
    return sweeps.submit(owner, made, actor=owner.username)


def make_schedule(owner: Any, job: dict[str, Any] | None = None, **values: Any) -> Schedule:
    """Something that ends at once, each day at six."""
    base: dict[str, Any] = {"template": "python", "command": ["quick"], "name": "nightly"}
    asked = ScheduleAsked(job=Submission(**(base | (job or {}))), **({"cron": "0 6 * * *"} | values))
    return scheduling.create(owner, asked, actor=owner.username)


def tell(job: Job, *values: float, name: str = "loss") -> None:
    """The job says so of itself."""
    allocation = Allocation.objects.create(
        owner_kind="job",
        owner_id=job.pk,
        user=job.owner,
        team=job.team,
        size=job.size,
        cpu=job.size.cpu,
        memory=job.size.memory,
        spec={},
        phase=Phase.ENDED,
        reason="completed",
        ended_at=clock.now(),
    )
    attempt = Attempt.objects.create(job=job, number=job.attempts.count() + 1, allocation=allocation, counted=True)
    Scalar.objects.bulk_create(
        Scalar(job=job, attempt=attempt, seq=seq, name=name, step=seq, value=value, at=clock.now())
        for seq, value in enumerate(values, start=1)
    )
