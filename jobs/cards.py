"""What pages show of jobs: plain objects with ready sentences, made without further queries."""

from dataclasses import dataclass, field
from datetime import datetime

from django.urls import reverse

from environments.cards import Action, size_text
from jobs.access import OWNER, Right
from jobs.models import Attempt, Job
from jobs.states import J, JobState
from portal.compute.states import Phase
from portal.lib import clock
from portal.lib.money import Money
from portal.lib.words import duration

STAGES = {
    Phase.ADMITTED: "Placed on a node",
    Phase.PULLING: "Waiting for the image",
    Phase.CREATING: "Creating the container",
    Phase.STARTING: "Starting",
}


@dataclass(frozen=True, slots=True)
class JobCard:
    """A job in a list or at the top of its page. `percent` is None where the job says nothing of its progress."""

    id: str
    name: str
    owner_name: str
    team_name: str
    template_name: str
    state: JobState
    sentence: str
    detail: str
    percent: int | None
    size_text: str
    so_far: Money | None
    per_hour: Money | None
    created_at: datetime
    lasted: str
    topic: str
    actions: list[Action] = field(default_factory=list)

    @property
    def moving(self) -> bool:
        return self.state in (J.QUEUED, J.STARTING, J.RUNNING, J.STOPPING)


def card(
    job: Job,
    prices: dict[str, Money],
    spent: dict[str, Money],
    *,
    attempt: "Attempted | None" = None,
    rights: Right = OWNER,
) -> JobCard:
    state = JobState(job.state)
    return JobCard(
        id=job.pk,
        name=job.name,
        owner_name=job.owner.get_full_name(),
        team_name=job.team.name,
        template_name=job.version.template.name,
        state=state,
        sentence=_sentence(state, attempt),
        detail=_detail(job, state, attempt),
        percent=round(job.progress * 100) if job.progress is not None and not job.over else None,
        size_text=size_text(job.size),
        so_far=spent.get(job.pk),
        per_hour=prices.get(job.size_id),
        created_at=job.created_at,
        lasted=lasted(job),
        topic=job.topic,
        actions=[action for right, action in _actions(job) if right in rights],
    )


@dataclass(frozen=True, slots=True)
class Attempted:
    """The attempt under way, or the last one: its number, how far its allocation is, and what it waits for."""

    number: int
    phase: Phase
    waits: str
    unreachable: bool


def attempted(attempt: Attempt) -> Attempted:
    allocation = attempt.allocation
    phase = Phase(allocation.phase)
    waits = allocation.message if phase == Phase.PENDING else ""
    return Attempted(attempt.number, phase, waits, allocation.unknown_since is not None)


def _sentence(state: JobState, attempt: Attempted | None) -> str:
    if attempt and attempt.unreachable and state not in (J.QUEUED,):
        return "No word from the container engine"
    if state == J.STARTING and attempt:
        return STAGES.get(attempt.phase, state.label)
    return state.label


def _detail(job: Job, state: JobState, attempt: Attempted | None) -> str:
    number = f"attempt {attempt.number}" if attempt and attempt.number > 1 else ""
    match state:
        case J.QUEUED:
            return job.message or (attempt.waits if attempt else "")
        case J.STARTING | J.RUNNING:
            return number
        case J.SUCCEEDED:
            return ""
        case _:
            return job.message


def lasted(job: Job) -> str:
    """From its first start to its end, or until now."""
    if job.begun_at is None:
        return ""
    return duration(((job.ended_at or clock.now()) - job.begun_at).total_seconds())


def _actions(job: Job) -> list[tuple[Right, Action]]:
    def to(name: str) -> str:
        return reverse(f"job-{name}", args=[job.pk])

    if not job.over:
        return [] if job.cancelled_by else [(Right.CANCEL, Action("Cancel", to("cancel")))]
    return [(Right.RERUN, Action("Run again", to("rerun"), "primary"))]
