"""Joins wanted and seen for one allocation: look, decide, do one idempotent step, record; until nothing is to do."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from portal.compute import endings, lease, owners, probe, specs
from portal.compute.decide import STOP_GRACE, Do, Seen, Step, Want, decide, ended_because
from portal.compute.engine import runtime
from portal.compute.models import Allocation
from portal.compute.states import Desired, LogState, Phase, Reason
from portal.compute.transitions import move
from portal.lib import clock
from portal.live.redis import publish
from runtimes.base import (
    ContainerState,
    EngineRefused,
    EngineUnreachable,
    ImageMissing,
    Observation,
    SpecConflict,
)

logger = logging.getLogger(__name__)

ACTOR = "reconcile"
MAX_STEPS = 20
LOG_DRAIN = timedelta(seconds=30)
FREEZING = timedelta(seconds=2)
LOOK_AGAIN: dict[Phase, timedelta] = {
    Phase.PENDING: timedelta(seconds=60),
    Phase.ADMITTED: timedelta(seconds=2),
    Phase.PULLING: timedelta(seconds=5),
    Phase.CREATING: timedelta(seconds=2),
    Phase.STARTING: timedelta(seconds=2),
    Phase.RUNNING: timedelta(seconds=60),
    Phase.STOPPING: timedelta(seconds=2),
}


def reconcile(allocation_id: str) -> None:
    """Bring one allocation as far as it goes now. Safe to call at any time, by anybody, any number of times."""
    while (allocation := lease.claim(allocation_id)) is not None:
        if lease.release(allocation, _advance(allocation)):
            return


def _advance(allocation: Allocation) -> timedelta | None:
    """Steps until nothing is left to do now; when to look again."""
    try:
        for _ in range(MAX_STEPS):
            if not (lease.renew(allocation) and _step(allocation)):
                break
    except EngineUnreachable as error:
        return _unknown(allocation, str(error))
    except Exception:
        logger.exception("allocation %s is postponed: a bug on our side", allocation.pk)
        return _back_off(allocation)
    if allocation.phase == Phase.ENDED:
        return timedelta(seconds=5) if allocation.log_state == LogState.OPEN else None
    if allocation.desired == Desired.SUSPEND and allocation.frozen_at is None:
        return FREEZING
    return LOOK_AGAIN[Phase(allocation.phase)]


def _step(allocation: Allocation) -> bool:
    """One step; True when another should follow at once."""
    seen = _look(allocation)
    want = Want(
        desired=Desired(allocation.desired),
        phase=Phase(allocation.phase),
        phase_at=allocation.phase_at,
        end_reason=Reason(allocation.end_reason or Reason.STOPPED),
        started_at=allocation.container_started_at,
        grace=specs.grace(allocation),
        desired_at=allocation.desired_at,
    )
    step = decide(want, seen, clock.now())
    return _STEPS[step.do](allocation, seen, step)


def _look(allocation: Allocation) -> Seen:
    if allocation.phase == Phase.PENDING:
        return Seen(Observation(specs.container_name(allocation), ContainerState.ABSENT))
    if allocation.node is not None and allocation.node.unreachable_since is not None:
        raise EngineUnreachable(f"{allocation.node} does not answer since {allocation.node.unreachable_since:%H:%M:%S}")
    container = runtime().inspect(specs.container_name(allocation))
    older = None
    if allocation.generation > 1:
        older = runtime().inspect(specs.container_name(allocation, allocation.generation - 1))
    _confirm(allocation, container)
    return Seen(container, older, _outage(allocation))


def _outage(allocation: Allocation) -> tuple[datetime, datetime] | None:
    node = allocation.node
    if node is None or node.outage_from is None:
        return None
    return node.outage_from, node.outage_until or clock.now()


def _confirm(allocation: Allocation, container: Observation) -> None:
    """The engine answered: nothing is unknown any more, and a running container counts up to now, frozen or not."""
    changes: dict[str, object] = {}
    if allocation.unknown_since is not None and allocation.open:
        changes["unknown_since"] = None
        publish(allocation.topic)
    if container.state == ContainerState.RUNNING and allocation.open:
        changes["confirmed_at"] = clock.now()
    if container.frozen != (allocation.frozen_at is not None) and allocation.open:
        changes["frozen_at"] = clock.now() if container.frozen else None
        publish(allocation.topic)
    if changes:
        _write(allocation, **changes)


def _write(allocation: Allocation, **changes: object) -> bool:
    held = Allocation.objects.filter(pk=allocation.pk, fence=allocation.fence)
    for name, value in changes.items():
        setattr(allocation, name, value)
    return held.update(**changes) == 1


def _nothing(allocation: Allocation, seen: Seen, step: Step) -> bool:
    if allocation.phase == Phase.ENDED and allocation.log_state == LogState.OPEN:
        _write(allocation, log_state=LogState.COMPLETE)
    return False


def _prepare(allocation: Allocation, seen: Seen, step: Step) -> bool:
    image = owners.owner_of(allocation).image(allocation)
    if image.failed:
        return move(allocation, Phase.ENDED, actor=ACTOR, reason=Reason.IMAGE_ERROR, message=image.message)
    if image.ready:
        spec = allocation.spec | {"image": image.reference}
        moved = move(allocation, Phase.CREATING, actor=ACTOR, message="image is on the node", spec=spec)
        return moved and _create(allocation, seen, step)
    if allocation.phase != Phase.PULLING:
        move(allocation, Phase.PULLING, actor=ACTOR, message=image.message, progress=image.progress)
    elif (allocation.message, allocation.progress) != (image.message, image.progress):
        _write(allocation, message=image.message, progress=image.progress)
        publish(allocation.topic)
    return False


def _create(allocation: Allocation, seen: Seen, step: Step) -> bool:
    try:
        return _record_start(allocation, Seen(runtime().ensure(specs.render(allocation))), step)
    except ImageMissing:
        owners.owner_of(allocation).image_gone(allocation)
        return move(
            allocation,
            Phase.PULLING,
            actor=ACTOR,
            message="the image is gone from the node, fetching it again",
        )
    except SpecConflict:
        runtime().remove(specs.container_name(allocation))  # ours by name and label, never handed to anybody
        return True
    except EngineRefused as error:
        return move(allocation, Phase.ENDED, actor=ACTOR, reason=Reason.ENGINE_ERROR, message=str(error))
    except owners.Undeliverable as error:
        return move(allocation, Phase.ENDED, actor=ACTOR, reason=Reason.SECRET_ERROR, message=str(error))


def _record_start(allocation: Allocation, seen: Seen, step: Step) -> bool:
    container = seen.container
    if container.started_at is None:
        return False
    message = "container started" if allocation.phase != Phase.RUNNING else "restarted outside Berth"
    return move(
        allocation,
        Phase.STARTING,
        actor=ACTOR,
        message=message,
        started_at=allocation.started_at or container.started_at or clock.now(),
        container_started_at=container.started_at,
        confirmed_at=clock.now(),
        address=container.address or "",
    )


def _await_answer(allocation: Allocation, seen: Seen, step: Step) -> bool:
    if allocation.spec["port"] is None:
        return move(allocation, Phase.RUNNING, actor=ACTOR, message="runs")
    address = seen.container.address or ""
    if address != allocation.address:
        _write(allocation, address=address)
    if address and probe.answers(allocation):
        move(allocation, Phase.RUNNING, actor=ACTOR, message="ready")
    return False


def _freeze(allocation: Allocation, seen: Seen, step: Step) -> bool:
    runtime().freeze(seen.container.name)
    return True


def _thaw(allocation: Allocation, seen: Seen, step: Step) -> bool:
    runtime().thaw(seen.container.name)
    return True


def _ask_to_stop(allocation: Allocation, seen: Seen, step: Step) -> bool:
    runtime().stop(seen.container.name)
    return move(allocation, Phase.STOPPING, actor=ACTOR, message="asked to stop")


def _force_stop(allocation: Allocation, seen: Seen, step: Step) -> bool:
    runtime().stop(seen.container.name, force=True)
    return False


def _clear_older(allocation: Allocation, seen: Seen, step: Step) -> bool:
    """End the container of the generation before this one, gently at first."""
    assert seen.older is not None
    if seen.older.state == ContainerState.RUNNING and clock.now() < allocation.phase_at + STOP_GRACE:
        runtime().stop(seen.older.name)
        return False
    runtime().remove(seen.older.name)
    return True


def _ended_by_itself(allocation: Allocation, seen: Seen) -> Reason:
    """An engine that goes down ends its containers while it still answers: ask whether it stays before judging."""
    runtime().check()
    if allocation.node is not None:
        allocation.node.refresh_from_db()
    return ended_because(Seen(seen.container, outage=_outage(allocation)))


def _finish(allocation: Allocation, seen: Seen, step: Step) -> bool:
    container = seen.container
    by_itself = step.reason in (Reason.FAILED, Reason.COMPLETED)
    reason = _ended_by_itself(allocation, seen) if by_itself else step.reason
    if container.state == ContainerState.RUNNING:
        runtime().stop(container.name, force=True)
    return move(
        allocation,
        Phase.ENDED,
        actor=ACTOR,
        reason=reason,
        message=endings.sentence(allocation, reason, container),
        ended_at=endings.ended_at(allocation, container),
        exit_code=container.exit_code,
    )


def _remove(allocation: Allocation, seen: Seen, step: Step) -> bool:
    """Delete the ended container once its log is collected, or after LOG_DRAIN; one started again is ended first."""
    if seen.container.state == ContainerState.RUNNING:
        runtime().stop(seen.container.name, force=True)
    allocation.refresh_from_db(fields=["log_state"])
    late = clock.now() >= (allocation.ended_at or clock.now()) + LOG_DRAIN
    if allocation.log_state == LogState.OPEN and not late:
        return False
    runtime().remove(seen.container.name)
    if allocation.log_state == LogState.OPEN:
        _write(allocation, log_state=LogState.TRUNCATED)
    return True


_STEPS: dict[Do, Callable[[Allocation, Seen, Step], bool]] = {
    Do.NOTHING: _nothing,
    Do.PREPARE: _prepare,
    Do.CREATE: _create,
    Do.RECORD_START: _record_start,
    Do.AWAIT_ANSWER: _await_answer,
    Do.FREEZE: _freeze,
    Do.THAW: _thaw,
    Do.ASK_TO_STOP: _ask_to_stop,
    Do.FORCE_STOP: _force_stop,
    Do.CLEAR_OLDER: _clear_older,
    Do.FINISH: _finish,
    Do.REMOVE: _remove,
}


def _unknown(allocation: Allocation, error: str) -> timedelta:
    """The engine did not answer: say so, call nothing stopped, and look again later."""
    logger.warning("allocation %s: %s", allocation.pk, error)
    if allocation.unknown_since is None and allocation.open:
        _write(allocation, unknown_since=clock.now())
        publish(allocation.topic)
    return _back_off(allocation)


def _back_off(allocation: Allocation) -> timedelta:
    _write(allocation, attempts=allocation.attempts + 1)
    return timedelta(seconds=min(2 ** min(allocation.attempts, 6), 30))
