"""Writes to sweeps: make all points at once, held back; cancel them, a bounded number at a time; note their end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db import models, transaction
from django.db.models import Exists, OuterRef

from environments import checks as environments
from environments import named_images, volumes
from environments.models import Dataset
from jobs import actions, checks, dependencies, holding, model_use, snapshots, spaces, telling
from jobs.models import Job
from jobs.plan_models import Sweep
from jobs.plan_states import Goal, Hold, Space
from jobs.spaces import MOST_POINTS, Point
from jobs.states import UNFINISHED, J
from jobs.stored import as_json
from jobs.submission import Submission
from portal.accounts.models import Secret, User
from portal.audit.actions import record
from portal.compute import admission
from portal.compute.placement import Need
from portal.compute.states import Reason
from portal.lib import clock
from portal.lib.errors import Invalid
from portal.lib.postponing import Postponed
from portal.live.redis import publish

BATCH = 50
METRIC_LENGTH = 100
_cancelling = Postponed("cancelling the points")
_ending = Postponed("noting the end")


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepAsked:
    """As it was asked, unchecked. `space` is as spaces.points explains; `count` and `seed` are for a random one."""

    job: Submission
    space: Mapping[str, Any]
    kind: str = Space.GRID
    count: int | None = None
    seed: int = 0
    parallelism: int = 1
    metric: str = ""
    goal: str = Goal.MIN
    name: str = ""


@transaction.atomic
def submit(owner: User, asked: SweepAsked, *, actor: str) -> Sweep:
    """Make all its points. Raises Invalid naming the field; those of the job begin with `job.`."""
    found = spaces.points(asked.kind, asked.space, asked.count, asked.seed)
    metric, goal = _metric(asked)
    if not isinstance(asked.parallelism, int) or not 1 <= asked.parallelism <= MOST_POINTS:
        raise Invalid.field("parallelism", f"Run 1 to {MOST_POINTS:,} points at once.")
    try:
        made = _Points(owner, asked.job, found)
    except Invalid as problem:
        raise of_job(problem) from problem
    columns = made.columns
    sweep = Sweep.objects.create(
        name=checks.name(replace(asked.job, name=asked.name)) if asked.name.strip() else columns["name"],
        owner=owner,
        team=columns["team"],
        submission=as_json(asked.job),
        kind=asked.kind,
        space=asked.space,
        count=len(found),
        seed=asked.seed,
        parallelism=asked.parallelism,
        metric=metric,
        goal=goal,
    )
    made.save(sweep)
    shown = {"name": sweep.name, "points": sweep.count, "template": columns["version"].template_id}
    record(actor, "sweep.submit", sweep.topic, after=shown | {"size": columns["size"].pk})
    holding.take_turns(sweep.pk)
    publish(sweep.topic, f"jobs-{owner.pk}")
    return sweep


def of_job(problem: Invalid) -> Invalid:
    """The same, of the job that is asked for inside a sweep or a schedule."""
    fields = {f"job.{name}": said for name, said in problem.fields.items()}
    return Invalid(problem.detail, fields=fields, next_step=problem.next_step)


def _metric(asked: SweepAsked) -> tuple[str, str]:
    metric = asked.metric.strip()
    if len(metric) > METRIC_LENGTH or (metric and not metric.isprintable()):
        raise Invalid.field("metric", f"Use at most {METRIC_LENGTH} printable characters, such as “loss”.")
    if asked.goal not in Goal.values:
        raise Invalid.field("goal", f"Choose one of: {', '.join(Goal.values)}.")
    return metric, asked.goal


class _Points:
    """The jobs of a sweep: checked once for all, with one snapshot, and written with a fixed number of queries."""

    def __init__(self, owner: User, asked: Submission, points: Sequence[Point]) -> None:
        self.owner, self.asked = owner, asked
        self.parameters = [checks.parameters({**asked.parameters, **point}) for point in points]
        self.columns = checks.columns(owner, replace(asked, parameters=self.parameters[0]))
        self.secrets: list[Secret] = environments.secrets(owner, self.columns["team"], asked.secrets)
        self.datasets: list[Dataset] = checks.inputs(owner, asked.inputs)
        self.models = model_use.named(self.columns["team"], asked.models)
        self.before = dependencies.named(owner, asked.after, asked.after_condition)
        if refusal := admission.never_fits(Need.of(self.columns["size"])):
            raise Invalid.field("size", f"Size {self.columns['size']} never fits: {refusal}.")

    def save(self, sweep: Sweep) -> None:
        wait = dependencies.wait_for(self.before, self.asked.after_condition)
        common = self.columns | {
            "version": named_images.kept(self.columns["version"]),
            "owner": self.owner,
            "sweep": sweep,
            "hold": Hold.AFTER if wait else Hold.TURN,
            "snapshot": snapshots.begun(self.owner, self.columns),
        }
        made = volumes.for_jobs(self.owner, sweep.count)
        jobs = [
            Job(
                **common
                | {
                    "name": f"{sweep.name[: checks.NAME_LENGTH - 6]} #{number}",
                    "parameters": parameters,
                    "point": number,
                    "volume": volume,
                    "message": wait or holding.turn(sweep, number),
                }
            )
            for number, (parameters, volume) in enumerate(zip(self.parameters, made, strict=True), start=1)
        ]
        Job.objects.bulk_create(jobs)
        _link(Job.datasets.through, jobs, "job_id", "dataset_id", self.datasets)
        _link(Job.secrets.through, jobs, "job_id", "secret_id", self.secrets)
        _link(Job.used_models.through, jobs, "job_id", "modelversion_id", self.models)
        _link(Job.after.through, jobs, "from_job_id", "to_job_id", self.before)


def _link(through: Any, jobs: Sequence[Job], from_name: str, to_name: str, others: Sequence[models.Model]) -> None:
    through.objects.bulk_create(
        [through(**{from_name: job.pk, to_name: other.pk}) for job in jobs for other in others], batch_size=5000
    )


def cancel(sweep: Sweep, *, actor: str) -> None:
    """End all points that have not ended. Those held back at once, the others with the ticks if they are many."""
    with transaction.atomic():
        row = Sweep.objects.select_for_update().get(pk=sweep.pk)
        if row.cancelled_by or not row.jobs.filter(state__in=UNFINISHED).exists():
            return
        Sweep.objects.filter(pk=row.pk).update(cancelled_by=actor, cancelling=True)
        record(actor, "sweep.cancel", row.topic)
        _cancel_held(row, actor)
    _cancel_batch(sweep.pk, actor)


def _cancel_held(sweep: Sweep, actor: str) -> None:
    """One UPDATE: nothing of them runs, and none has an attempt."""
    now = clock.now()
    held = Job.objects.filter(sweep=sweep).exclude(hold=Hold.NONE)
    ended = list(held.values_list("pk", flat=True))
    held.update(
        state=J.CANCELLED,
        reason=Reason.CANCELLED,
        message=f"Cancelled by {actor} with its sweep.",
        cancelled_by=actor,
        hold=Hold.NONE,
        ended_at=now,
    )
    publish(sweep.topic, f"jobs-{sweep.owner_id}", *(f"job-{pk}" for pk in ended))


@transaction.atomic
def _cancel_batch(sweep_id: str, actor: str) -> None:
    left = Job.objects.filter(sweep=sweep_id, state__in=UNFINISHED, cancelled_by="").order_by("pk")[:BATCH]
    for job in left:
        actions.cancel(job, actor=actor)
    if len(left) < BATCH:
        Sweep.objects.filter(pk=sweep_id).update(cancelling=False)


def cancel_due() -> None:
    """Part of every tick: go on with sweeps whose points were too many to cancel at once."""
    due = Sweep.objects.filter(cancelling=True).exclude(pk__in=_cancelling.rows())
    for pk, actor in due.values_list("pk", "cancelled_by")[:BATCH]:
        with _cancelling.trying(pk):
            _cancel_batch(pk, actor)


def end_due() -> None:
    """Part of every tick: note the end of sweeps whose last point has ended, and tell of it."""
    unfinished = Job.objects.filter(sweep=OuterRef("pk"), state__in=UNFINISHED)
    due = Sweep.objects.filter(~Exists(unfinished), ended_at=None).exclude(pk__in=_ending.rows())
    for pk in due.values_list("pk", flat=True)[:BATCH]:
        with _ending.trying(pk):
            _end(pk)


@transaction.atomic
def _end(sweep_id: str) -> None:
    if Sweep.objects.filter(pk=sweep_id, ended_at=None).update(ended_at=clock.now()):
        sweep = Sweep.objects.select_related("owner").get(pk=sweep_id)
        telling.sweep_ended(sweep)
        publish(sweep.topic)
