"""The wait as a timeline: stages with their seconds, from the transitions of an allocation."""

from dataclasses import dataclass
from datetime import datetime

from environments.cards import sentence
from environments.models import Workspace
from environments.states import W, state_of
from portal.compute.models import Transition
from portal.compute.states import Phase
from portal.lib import clock


@dataclass(frozen=True, slots=True)
class Step:
    """state: done, now, todo or failed."""

    name: str
    state: str
    detail: str
    percent: int | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    sentence: str
    elapsed: float | None
    steps: list[Step]


@dataclass(frozen=True, slots=True)
class Entry:
    """One transition with the seconds spent in the phase it led to (None while that phase lasts)."""

    transition: Transition
    seconds: float | None


def entries(transitions: list[Transition]) -> list[Entry]:
    following = [*(later.at for later in transitions[1:]), None]
    return [
        Entry(step, None if until is None or step.to_phase == Phase.ENDED else (until - step.at).total_seconds())
        for step, until in zip(transitions, following, strict=True)
    ]


def stage_of(workspace: Workspace, transitions: list[Transition]) -> Stage | None:
    """The timeline while it comes up; None once it runs or has ended without ever trying."""
    allocation = workspace.allocation
    state = state_of(allocation, workspace.deleted_at is not None)
    if allocation is None or state not in (W.QUEUED, W.STARTING, W.FAILED):
        return None
    since = _since_last_creation(transitions)
    begun = since[0].at if since else allocation.created_at
    end = allocation.ended_at or clock.now()
    return Stage(sentence(workspace, state), max((end - begun).total_seconds(), 0.0), _steps(workspace, since))


def _since_last_creation(transitions: list[Transition]) -> list[Transition]:
    """A restart begins a new wait: leave out what came before it."""
    starts = [i for i, step in enumerate(transitions) if step.to_phase == Phase.CREATING and step.message == "restart"]
    return transitions[starts[-1] :] if starts else transitions


def _steps(workspace: Workspace, transitions: list[Transition]) -> list[Step]:
    names = {
        Phase.PENDING: "Queued",
        Phase.ADMITTED: "Placed",
        Phase.PULLING: "Image",
        Phase.CREATING: "Container",
        Phase.STARTING: workspace.version.template.name,
        Phase.RUNNING: "Ready",
    }
    times = {Phase(step.to_phase): step.at for step in transitions}
    reached = [phase for phase in names if phase in times]
    return [_step(workspace, phase, name, times, reached) for phase, name in names.items()]


def _step(workspace: Workspace, phase: Phase, name: str, times: dict[Phase, datetime], reached: list[Phase]) -> Step:
    allocation = workspace.allocation
    assert allocation is not None
    last = reached[-1] if reached else Phase.PENDING
    order = list(Phase)
    later = [times[p] for p in reached if order.index(p) > order.index(phase)]
    if phase in times and later:
        node = f", {allocation.node.name}" if phase == Phase.ADMITTED and allocation.node else ""
        return Step(name, "done", f"{(later[0] - times[phase]).total_seconds():.1f} s{node}")
    if phase == last:
        if not allocation.open:
            return Step(name, "failed", "")
        percent = None if allocation.progress is None else round(allocation.progress * 100)
        return Step(name, "now", f"{percent} %" if percent is not None else "", percent)
    passed = order.index(phase) < order.index(last)
    return Step(name, "done", "there already" if phase == Phase.PULLING else "") if passed else Step(name, "todo", "")
