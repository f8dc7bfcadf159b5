"""How an ending is told: one sentence, and the moment up to which compute was held."""

from datetime import datetime

from portal.compute.models import GIB, Allocation
from portal.compute.states import Reason
from portal.lib import clock
from runtimes.base import Observation


def sentence(allocation: Allocation, reason: Reason, container: Observation) -> str:
    match reason:
        case Reason.OOM:
            return f"It ran out of memory: size {allocation.size_id} has {allocation.memory / GIB:g} GB."
        case Reason.FAILED | Reason.COMPLETED:  # by itself or because of a signal: the engine does not tell
            return container.error or f"The process ended with exit code {container.exit_code}."
        case Reason.LOST:
            return "The container disappeared: somebody or something removed it outside Berth."
        case Reason.ENGINE_RESTART:
            return "The container engine was restarted, which ended the container."
        case Reason.START_TIMEOUT:
            return "The container ran, but the application in it did not answer within 3 minutes."
        case Reason.ENGINE_ERROR:
            return container.error or "The container engine could not start the container."
        case _:
            return allocation.end_message or Reason(reason).label + "."


def ended_at(allocation: Allocation, container: Observation) -> datetime:
    """The engine's word where it has one, else the last moment it was seen running, else now."""
    if container.finished_at is not None:
        return container.finished_at
    if allocation.started_at is not None:
        return allocation.confirmed_at or allocation.started_at
    return clock.now()
