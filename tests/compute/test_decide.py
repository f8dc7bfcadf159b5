"""decide: the table of what is wanted, what is seen and what follows."""

from datetime import UTC, datetime, timedelta

import pytest

from portal.compute.decide import FREEZE_AFTER, OUTAGE_MARGIN, START_LIMIT, STOP_GRACE, Do, Seen, Step, Want, decide
from portal.compute.states import TRANSITIONS, Desired, Phase, Reason
from runtimes.base import ContainerState, Observation

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
S = ContainerState


def seen(state: ContainerState, **values: object) -> Seen:
    older = values.pop("older", None)
    outage = values.pop("outage", None)
    return Seen(Observation("c", state, **values), older, outage)  # type: ignore[arg-type]


def want(phase: Phase, desired: Desired = Desired.RUN, since: timedelta = timedelta(0), **values: object) -> Want:
    return Want(desired, phase, NOW - since, **values)  # type: ignore[arg-type]


def suspended(since: timedelta, phase: Phase = Phase.RUNNING) -> Want:
    return want(phase, Desired.SUSPEND, desired_at=NOW - since)


@pytest.mark.parametrize(
    ("wanted", "observed", "step"),
    [
        (want(Phase.PENDING), seen(S.ABSENT), Step(Do.NOTHING)),
        (want(Phase.ADMITTED), seen(S.ABSENT), Step(Do.PREPARE)),
        (want(Phase.PULLING), seen(S.ABSENT), Step(Do.PREPARE)),
        (want(Phase.CREATING), seen(S.ABSENT), Step(Do.CREATE)),
        (want(Phase.CREATING), seen(S.CREATED), Step(Do.CREATE)),
        (want(Phase.CREATING), seen(S.RUNNING), Step(Do.RECORD_START)),
        (want(Phase.STARTING), seen(S.RUNNING), Step(Do.AWAIT_ANSWER)),
        (want(Phase.STARTING), seen(S.ABSENT), Step(Do.FINISH, Reason.LOST)),
        (want(Phase.STARTING), seen(S.EXITED, exit_code=1), Step(Do.FINISH, Reason.FAILED)),
        (want(Phase.STARTING, since=START_LIMIT), seen(S.RUNNING), Step(Do.FINISH, Reason.START_TIMEOUT)),
        (want(Phase.CREATING, since=START_LIMIT), seen(S.CREATED), Step(Do.FINISH, Reason.START_TIMEOUT)),
        (want(Phase.RUNNING), seen(S.RUNNING), Step(Do.NOTHING)),
        (want(Phase.RUNNING), seen(S.ABSENT), Step(Do.FINISH, Reason.LOST)),
        (want(Phase.RUNNING), seen(S.EXITED, exit_code=0), Step(Do.FINISH, Reason.COMPLETED)),
        (want(Phase.RUNNING), seen(S.EXITED, exit_code=137, out_of_memory=True), Step(Do.FINISH, Reason.OOM)),
        (want(Phase.RUNNING, Desired.END), seen(S.RUNNING), Step(Do.ASK_TO_STOP)),
        (want(Phase.STOPPING, Desired.END), seen(S.RUNNING), Step(Do.NOTHING)),
        (want(Phase.STOPPING, Desired.END, STOP_GRACE), seen(S.RUNNING), Step(Do.FORCE_STOP)),
        (want(Phase.STOPPING, Desired.END), seen(S.EXITED), Step(Do.FINISH, Reason.STOPPED)),
        (suspended(FREEZE_AFTER), seen(S.RUNNING), Step(Do.FREEZE)),
        (suspended(timedelta(0)), seen(S.RUNNING), Step(Do.NOTHING)),
        (suspended(FREEZE_AFTER), seen(S.RUNNING, frozen=True), Step(Do.NOTHING)),
        (suspended(FREEZE_AFTER), seen(S.EXITED, exit_code=137), Step(Do.FINISH, Reason.FAILED)),
        (suspended(FREEZE_AFTER), seen(S.ABSENT), Step(Do.FINISH, Reason.LOST)),
        (suspended(FREEZE_AFTER, Phase.STARTING), seen(S.RUNNING), Step(Do.AWAIT_ANSWER)),
        (suspended(FREEZE_AFTER, Phase.STARTING), seen(S.RUNNING, frozen=True), Step(Do.THAW)),
        (want(Phase.RUNNING), seen(S.RUNNING, frozen=True), Step(Do.THAW)),
        (want(Phase.RUNNING, Desired.END), seen(S.RUNNING, frozen=True), Step(Do.THAW)),
        (want(Phase.STOPPING, Desired.END, STOP_GRACE), seen(S.RUNNING, frozen=True), Step(Do.THAW)),
        (want(Phase.ENDED), seen(S.RUNNING, frozen=True), Step(Do.REMOVE)),
        (want(Phase.PENDING, Desired.END), seen(S.ABSENT), Step(Do.FINISH, Reason.CANCELLED)),
        (want(Phase.PULLING, Desired.END), seen(S.ABSENT), Step(Do.FINISH, Reason.CANCELLED)),
        (want(Phase.ENDED), seen(S.EXITED), Step(Do.REMOVE)),
        (want(Phase.ENDED), seen(S.ABSENT), Step(Do.NOTHING)),
    ],
)
def test_the_table(wanted: Want, observed: Seen, step: Step) -> None:
    assert decide(wanted, observed, NOW) == step


def test_an_older_generation_is_cleared_first() -> None:
    older = Observation("c-g1", S.RUNNING)
    assert decide(want(Phase.CREATING), seen(S.ABSENT, older=older), NOW).do == Do.CLEAR_OLDER


def test_a_container_started_behind_our_back_starts_anew() -> None:
    wanted = want(Phase.RUNNING, started_at=NOW - timedelta(hours=1))
    assert decide(wanted, seen(S.RUNNING, started_at=NOW), NOW).do == Do.RECORD_START


def test_an_ending_during_an_outage_is_the_engines() -> None:
    outage = (NOW, NOW + timedelta(seconds=5))
    during = seen(S.EXITED, exit_code=137, finished_at=NOW - OUTAGE_MARGIN / 2, outage=outage)
    before = seen(S.EXITED, exit_code=137, finished_at=NOW - 2 * OUTAGE_MARGIN, outage=outage)
    assert decide(want(Phase.RUNNING), during, NOW).reason == Reason.ENGINE_RESTART
    assert decide(want(Phase.RUNNING), before, NOW).reason == Reason.FAILED


def test_every_phase_can_end_and_only_ended_is_final() -> None:
    assert all(Phase.ENDED in steps for phase, steps in TRANSITIONS.items() if phase != Phase.ENDED)
    assert TRANSITIONS[Phase.ENDED] == frozenset()
