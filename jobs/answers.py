"""What the API says of jobs: plain values, gathered with a fixed number of queries, and their shapes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db.models import Prefetch, prefetch_related_objects
from django.db.models.fields.json import KeyTextTransform
from rest_framework import serializers

from environments import dataset_versions
from environments.answers import UNREACHABLE, WAITING, QueueSerializer, ReasonSerializer, Why
from environments.dataset_models import DatasetVersion
from jobs import data_use
from jobs.actions import STATES
from jobs.estimates import estimates
from jobs.model_models import ModelVersion
from jobs.models import Attempt, Job
from jobs.states import ArtifactsState, J, JobState, final_state
from portal.compute import queue
from portal.compute.models import Allocation
from portal.compute.queue import Place
from portal.compute.states import Phase, Reason
from portal.lib.errors import Next
from portal.lib.money import Money
from portal.lib.rest import MoneySerializer
from portal.usage import costs


@dataclass(frozen=True, slots=True)
class Cost:
    estimate: Money | None
    so_far: Money
    final: Money | None


@dataclass(frozen=True, slots=True)
class AttemptAnswer:
    number: int
    state: JobState
    reason: Why | None
    exit_code: int | None
    started_at: datetime | None
    ended_at: datetime | None
    counted: bool | None
    again: str | None
    tracking: str | None
    tracking_note: str


@dataclass(frozen=True, slots=True)
class Record:
    template: str
    version: str
    image: str | None
    image_digest: str
    command: list[str]
    git_url: str
    git_ref: str
    git_commit: str
    code_hash: str
    workspace: str | None
    folder: str
    parameters: dict[str, Any]
    env: list[str]
    secrets: list[str]
    inputs: list[str]
    input_versions: list[str]
    changed_inputs: list[str]
    models: list[str]
    outputs: list[str]
    size: str
    rerun_of: str | None


@dataclass(frozen=True, slots=True)
class JobAnswer:
    id: str
    name: str
    state: JobState
    reason: Why | None
    url: str
    attempt: int
    attempts: list[AttemptAnswer]
    exit_code: int | None
    progress: float | None
    priority: str
    size: str
    team: str
    project: str
    owner: str
    cost: Cost
    queue: Place | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    artifacts_state: str
    after: list[str]
    sweep: str | None
    point: int | None
    schedule: str | None
    record: Record


def answers(jobs: Sequence[Job]) -> list[JobAnswer]:
    """Shape of JobSerializer, unserialised."""
    _with_related(jobs)
    expected = estimates(jobs)
    spent = costs.so_far(job.pk for job in jobs)
    line = queue.explain(last.allocation for job in jobs if (last := _last(job)))
    data = dataset_versions.newest(version.dataset_id for job in jobs for version in job.dataset_versions.all())
    nothing = Money(Decimal(0), settings.CURRENCY)
    return [_answer(job, expected.get(job.pk), spent.get(job.pk, nothing), line, data) for job in jobs]


def _with_related(jobs: Sequence[Job]) -> None:
    attempts = Attempt.objects.select_related("allocation").defer("allocation__spec")
    attempts = attempts.annotate(image=KeyTextTransform("image", "allocation__spec"))
    used = Prefetch("used_models", queryset=ModelVersion.objects.select_related("model"))
    plain = ("datasets", "dataset_versions", "secrets", "after")
    prefetch_related_objects(list(jobs), Prefetch("attempts", queryset=attempts), *plain, used)


def _last(job: Job) -> Any:
    """Its latest attempt, with `image`; None before the first."""
    return max(job.attempts.all(), key=lambda attempt: attempt.number, default=None)


def _answer(
    job: Job, estimate: Money | None, spent: Money, line: dict[str, Place], data: dict[str, DatasetVersion]
) -> JobAnswer:
    last = _last(job)
    place = line.get(last.allocation_id) if last else None
    return JobAnswer(
        id=job.pk,
        name=job.name,
        state=JobState(job.state),
        reason=_why(job, last.allocation if last else None),
        url=f"{settings.PORTAL_URL}{job.get_absolute_url()}",
        attempt=last.number if last else 0,
        attempts=_attempts(job),
        exit_code=job.exit_code,
        progress=job.progress,
        priority=job.priority,
        size=job.size_id,
        team=job.team.slug,
        project=job.project,
        owner=job.owner.username,
        cost=Cost(estimate, spent, spent if job.over else None),
        queue=place,
        created_at=job.created_at,
        started_at=job.begun_at,
        ended_at=job.ended_at,
        artifacts_state=job.artifacts_state,
        after=[other.pk for other in job.after.all()],
        sweep=job.sweep_id,
        point=job.point,
        schedule=job.schedule_id,
        record=_record(job, last.image if last else job.version.image.digest, data),
    )


def _record(job: Job, image: str, data: dict[str, DatasetVersion]) -> Record:
    found = data_use.found_by(job)
    return Record(
        template=job.version.template_id,
        version=job.version.version,
        image=job.version.image.named or None,
        image_digest=image,
        command=job.command,
        git_url=job.git_url,
        git_ref=job.git_ref,
        git_commit=job.git_commit,
        code_hash=job.code_hash,
        workspace=job.workspace_id,
        folder=job.folder,
        parameters=job.parameters,
        env=sorted(job.environment),
        secrets=sorted(secret.name for secret in job.secrets.all()),
        inputs=sorted(dataset.name for dataset in job.datasets.all()),
        input_versions=list(map(str, found)),
        changed_inputs=list(map(str, data_use.newer(found, data))),
        models=sorted(str(version) for version in job.used_models.all()),
        outputs=job.outputs,
        size=job.size_id,
        rerun_of=job.rerun_of_id,
    )


def _why(job: Job, allocation: Allocation | None) -> Why | None:
    """Why it is over, or what it waits for, where there is something to say."""
    if job.over:
        look = Next("See its log", job.get_absolute_url()) if job.state in (J.FAILED, J.TIMED_OUT, J.LOST) else None
        return Why(job.reason, job.message or Reason(job.reason).label, look)
    if allocation and allocation.open and allocation.unknown_since:
        return Why(UNREACHABLE, "The container engine does not answer. It may well be running; nothing is lost.")
    message = job.message or (allocation.message if allocation else "")
    return Why(WAITING, message) if message and job.state != J.RUNNING else None


def _attempts(job: Job) -> list[AttemptAnswer]:
    found = sorted(job.attempts.all(), key=lambda attempt: attempt.number)
    used, shown = 0, []
    for attempt in found:
        used += attempt.counted is True
        goes_on = attempt is not found[-1] or job.begin_at is not None
        shown.append(_attempt(attempt, _again(attempt, used, job.retries) if goes_on else None))
    return shown


def _attempt(attempt: Attempt, again: str | None) -> AttemptAnswer:
    allocation = attempt.allocation
    over = allocation.phase == Phase.ENDED
    reason = Reason(allocation.reason)
    return AttemptAnswer(
        number=attempt.number,
        state=final_state(reason) if over else STATES[Phase(allocation.phase)],
        reason=Why(reason, allocation.message or reason.label) if over else None,
        exit_code=allocation.exit_code,
        started_at=allocation.started_at,
        ended_at=allocation.ended_at,
        counted=attempt.counted,
        again=again,
        tracking=attempt.tracking_id,
        tracking_note=attempt.tracking_note,
    )


def _again(attempt: Attempt, used: int, retries: int) -> str:
    if attempt.counted:
        return f"Retry {used} of {retries}."
    return "The machine failed, not the program: tried again without using up a retry."


class JobCostSerializer(serializers.Serializer[Cost]):
    estimate = MoneySerializer(
        allow_null=True,
        help_text="One attempt as long as `max_duration_seconds`, else as long as your last jobs of that name took.",
    )
    so_far = MoneySerializer()
    final = MoneySerializer(allow_null=True, help_text="Once it is over.")


class AttemptSerializer(serializers.Serializer[AttemptAnswer]):
    """One run of a job."""

    number = serializers.IntegerField(help_text="From 1.")
    state = serializers.ChoiceField(JobState.choices)
    reason = ReasonSerializer(allow_null=True, help_text="Why it ended.")
    exit_code = serializers.IntegerField(allow_null=True)
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    counted = serializers.BooleanField(allow_null=True, help_text="Whether it used up a try; null until it has ended.")
    again = serializers.CharField(allow_null=True, help_text="Why there is another one after it.")
    tracking = serializers.CharField(allow_null=True, help_text="Id of the team's tracking server that it logs to.")
    tracking_note = serializers.CharField(help_text="Why it was given none although the team has one; else empty.")


class RecordSerializer(serializers.Serializer[Record]):
    """What ran; `POST /jobs/{id}/rerun/` repeats it."""

    template = serializers.CharField()
    version = serializers.CharField()
    image = serializers.CharField(
        allow_null=True,
        help_text="What it named in place of a template; with `@sha256:…`, what a tag meant, once it was pulled.",
    )
    image_digest = serializers.CharField(help_text="The id that the container engine has for it.")
    command = serializers.ListField(child=serializers.CharField())
    git_url = serializers.CharField()
    git_ref = serializers.CharField(help_text="As it was asked for.")
    git_commit = serializers.CharField(help_text="What it was; empty until it is known.")
    code_hash = serializers.CharField(help_text="SHA-256 over the copied folder; empty without one.")
    workspace = serializers.CharField(allow_null=True)
    folder = serializers.CharField()
    parameters = serializers.DictField()
    env = serializers.ListField(child=serializers.CharField(), help_text="Names of variables; values are in its file.")
    secrets = serializers.ListField(child=serializers.CharField(), help_text="Names.")
    inputs = serializers.ListField(child=serializers.CharField(), help_text="Names of datasets.")
    input_versions = serializers.ListField(
        child=serializers.CharField(),
        help_text="What its attempts found of them when they began, such as `iris:7`; empty until one has.",
    )
    changed_inputs = serializers.ListField(
        child=serializers.CharField(), help_text="The newest version of those that have changed since."
    )
    models = serializers.ListField(child=serializers.CharField(), help_text="Exactly these versions.")
    outputs = serializers.ListField(child=serializers.CharField())
    size = serializers.CharField()
    rerun_of = serializers.CharField(allow_null=True, help_text="Id of the job that it repeats.")


class JobSerializer(serializers.Serializer[Any]):
    """A job."""

    id = serializers.CharField()
    name = serializers.CharField(help_text="Jobs may share a name.")
    state = serializers.ChoiceField(JobState.choices)
    reason = ReasonSerializer(allow_null=True)
    url = serializers.URLField(help_text="Its page.")
    attempt = serializers.IntegerField(help_text="Number of the latest; 0 before the first.")
    attempts = AttemptSerializer(many=True)
    exit_code = serializers.IntegerField(allow_null=True, help_text="Of the latest attempt that has ended.")
    progress = serializers.FloatField(allow_null=True, help_text="0 to 1, as the program says.")
    priority = serializers.CharField()
    size = serializers.CharField()
    team = serializers.CharField(help_text="Who pays.")
    project = serializers.CharField(help_text="What its cost is for; empty for none.")
    owner = serializers.CharField()
    cost = JobCostSerializer()
    queue = QueueSerializer(allow_null=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True, help_text="Of the first attempt.")
    ended_at = serializers.DateTimeField(allow_null=True)
    artifacts_state = serializers.ChoiceField(ArtifactsState.choices)
    after = serializers.ListField(child=serializers.CharField(), help_text="Jobs that it waits for, or waited for.")
    sweep = serializers.CharField(allow_null=True, help_text="Of which it is a point.")
    point = serializers.IntegerField(allow_null=True)
    schedule = serializers.CharField(allow_null=True, help_text="That made it.")
    record = RecordSerializer()
