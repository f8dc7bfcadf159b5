"""What to do next with an allocation: a pure function of what is wanted and what is seen."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from portal.compute.states import COMING_UP, Desired, Phase, Reason
from runtimes.base import ContainerState, Observation

STOP_GRACE = timedelta(seconds=10)
START_LIMIT = timedelta(minutes=3)
FREEZE_AFTER = timedelta(seconds=10)
"""From the wish on: by then nobody is let in on an older answer of the door, and open connections are cut."""
OUTAGE_MARGIN = timedelta(seconds=20)
"""An engine that shuts down ends its containers up to this long before it stops answering."""


class Do(Enum):
    """The one idempotent thing to do; each is safe to repeat."""

    NOTHING = auto()
    PREPARE = auto()
    CREATE = auto()
    RECORD_START = auto()
    AWAIT_ANSWER = auto()
    FREEZE = auto()
    THAW = auto()
    ASK_TO_STOP = auto()
    FORCE_STOP = auto()
    CLEAR_OLDER = auto()
    FINISH = auto()
    REMOVE = auto()


@dataclass(frozen=True, slots=True)
class Want:
    """The row: what is wanted, since when, and how far it came. `started_at` is the container start it knows of,
    `grace` how long it may take to end when it is asked to.
    """

    desired: Desired
    phase: Phase
    phase_at: datetime
    end_reason: Reason = Reason.STOPPED
    started_at: datetime | None = None
    grace: timedelta = STOP_GRACE
    desired_at: datetime | None = None

    @property
    def still(self) -> bool:
        """What is on its way up, or out, must move: only what has come to run is frozen."""
        return self.desired == Desired.SUSPEND and self.phase == Phase.RUNNING


@dataclass(frozen=True, slots=True)
class Seen:
    """The engine: this generation's container, the one before it, and when the engine was last away."""

    container: Observation
    older: Observation | None = None
    outage: tuple[datetime, datetime] | None = None


@dataclass(frozen=True, slots=True)
class Step:
    do: Do
    reason: Reason = Reason.NONE


def decide(want: Want, seen: Seen, now: datetime) -> Step:
    """The next step. `seen` must be an answer: an engine that did not answer gives no step at all."""
    state = seen.container.state
    if seen.older and seen.older.state != ContainerState.ABSENT:
        return Step(Do.CLEAR_OLDER)
    if want.phase == Phase.ENDED:
        return Step(Do.NOTHING if state == ContainerState.ABSENT else Do.REMOVE)
    if want.phase == Phase.CREATING and seen.container.started_at is not None:
        return Step(Do.RECORD_START)  # also when it has ended since: what ran is metered
    if seen.container.frozen and not want.still:
        return Step(Do.THAW)
    if want.desired == Desired.END:
        return _towards_end(want, seen, now)
    if want.phase in COMING_UP:
        return _towards_running(want, seen, now)
    if want.phase == Phase.PENDING:
        return Step(Do.NOTHING)
    return _while_running(want, seen, now)


def _towards_end(want: Want, seen: Seen, now: datetime) -> Step:
    if seen.container.state != ContainerState.RUNNING:
        never_ran = want.phase == Phase.PENDING or want.phase in COMING_UP
        cancelled = never_ran and want.end_reason == Reason.STOPPED
        return Step(Do.FINISH, Reason.CANCELLED if cancelled else want.end_reason)
    if want.phase != Phase.STOPPING:
        return Step(Do.ASK_TO_STOP)
    return Step(Do.FORCE_STOP if now >= want.phase_at + want.grace else Do.NOTHING)


def _towards_running(want: Want, seen: Seen, now: datetime) -> Step:
    if want.phase in (Phase.CREATING, Phase.STARTING) and now >= want.phase_at + START_LIMIT:
        there = seen.container.state in (ContainerState.CREATED, ContainerState.RUNNING)
        return Step(Do.FINISH, Reason.START_TIMEOUT if there else ended_because(seen))
    match seen.container.state:
        case ContainerState.EXITED:
            return Step(Do.FINISH, ended_because(seen))
        case ContainerState.RUNNING if want.phase == Phase.STARTING:
            return Step(Do.AWAIT_ANSWER)
        case ContainerState.RUNNING:
            return Step(Do.RECORD_START)
        case ContainerState.ABSENT if want.phase == Phase.STARTING:
            return Step(Do.FINISH, Reason.LOST)
        case _ if want.phase in (Phase.CREATING, Phase.STARTING):
            return Step(Do.CREATE)
        case _:
            return Step(Do.PREPARE)


def _while_running(want: Want, seen: Seen, now: datetime) -> Step:
    if seen.container.state != ContainerState.RUNNING:
        return Step(Do.FINISH, ended_because(seen))
    moved_on = want.started_at is not None and seen.container.started_at != want.started_at
    if moved_on:
        return Step(Do.RECORD_START)
    due = want.still and now >= (want.desired_at or now) + FREEZE_AFTER
    return Step(Do.FREEZE if due and not seen.container.frozen else Do.NOTHING)


def ended_because(seen: Seen) -> Reason:
    """Why a container that should run does not."""
    container = seen.container
    if container.state == ContainerState.ABSENT:
        return Reason.LOST
    if container.out_of_memory:
        return Reason.OOM
    if container.finished_at and seen.outage:
        since, until = seen.outage
        if since - OUTAGE_MARGIN <= container.finished_at <= until:
            return Reason.ENGINE_RESTART
    if container.state == ContainerState.CREATED:
        return Reason.ENGINE_ERROR
    return Reason.COMPLETED if container.exit_code == 0 else Reason.FAILED
