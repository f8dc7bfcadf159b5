"""States of a job, as data, and what follows from the end of an attempt: again, or over."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import models

from portal.compute.states import Reason


class JobState(models.TextChoices):
    QUEUED = "queued", "Queued"
    STARTING = "starting", "Starting"
    RUNNING = "running", "Running"
    STOPPING = "stopping", "Stopping"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"
    TIMED_OUT = "timed_out", "Timed out"
    LOST = "lost", "Lost"


class CodeState(models.TextChoices):
    """How far the copy of a folder is that jobs begin with."""

    WAITING = "waiting", "To be copied"
    READY = "ready", "Copied"
    FAILED = "failed", "Could not be copied"
    REMOVED = "removed", "Removed"


class ArtifactsState(models.TextChoices):
    NONE = "none", "Not collected yet"
    WAITING = "waiting", "Being collected"
    COMPLETE = "complete", "All of them"
    PARTIAL = "partial", "Some are missing"
    REMOVED = "removed", "Removed"


class Priority(models.TextChoices):
    LOW = "low", "Low"
    NORMAL = "normal", "Normal"
    HIGH = "high", "High"


J = JobState
FINAL = frozenset({J.SUCCEEDED, J.FAILED, J.CANCELLED, J.TIMED_OUT, J.LOST})
UNFINISHED = frozenset(set(J) - FINAL)

UNCOUNTED = frozenset({Reason.LOST, Reason.ENGINE_RESTART, Reason.DRAINED, Reason.PREEMPTED})
"""Not the job's fault: such an attempt is repeated and does not count, MOST_UNCOUNTED times."""
MOST_UNCOUNTED = 5
RETRIED = frozenset({Reason.FAILED, Reason.START_TIMEOUT, Reason.ENGINE_ERROR})
"""What a retry may mend where no rule says otherwise: memory, a missing secret or image is the same next time."""
_FINAL_STATE = {
    Reason.COMPLETED: J.SUCCEEDED,
    Reason.MAX_DURATION: J.TIMED_OUT,
    Reason.STOPPED: J.CANCELLED,
    Reason.CANCELLED: J.CANCELLED,
    Reason.LOST: J.LOST,
    Reason.ENGINE_RESTART: J.LOST,
    Reason.DRAINED: J.LOST,
    Reason.PREEMPTED: J.LOST,
}
LONGEST_DELAY = timedelta(minutes=10)


class Then(models.TextChoices):
    """What follows where a rule for retries fits."""

    RETRY = "retry", "Try again"
    LARGER = "larger", "Try again with the next larger size"
    FAIL = "fail", "Do not try again"


@dataclass(frozen=True, slots=True)
class Retries:
    """How often it may be tried again, how long to wait first, and rules; the first rule that fits decides.

    A rule is `{exit_codes?, log_contains?, reason?, then}`: all that it names must fit. `then` is a Then.
    """

    limit: int = 0
    delay_seconds: int = 10
    rules: Sequence[dict[str, Any]] = ()

    @property
    def reads_log(self) -> bool:
        return any("log_contains" in rule for rule in self.rules)

    @property
    def may_grow(self) -> bool:
        return any(rule["then"] == Then.LARGER for rule in self.rules)


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended; `log_tail` matters only where a rule looks at it."""

    reason: Reason
    exit_code: int | None
    log_tail: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What follows: another attempt after `delay`, or the final state. `counted`: it used up one of the retries.

    `larger`: a larger size was asked for, whether or not there is another attempt.
    """

    state: JobState
    delay: timedelta | None = None
    counted: bool = True
    larger: bool = False

    @property
    def again(self) -> bool:
        return self.delay is not None


def final_state(reason: Reason) -> JobState:
    """What a job is when its last attempt ended so."""
    return _FINAL_STATE.get(reason, J.FAILED)


def outcome(
    ending: Ending,
    retries: Retries,
    *,
    counted_before: int,
    uncounted_before: int,
    wanted: bool,
    can_grow: bool = False,
) -> Outcome:
    """`counted_before` attempts failed already and counted; `wanted` is False once somebody cancelled it.

    `can_grow`: there is a larger size, without which a rule that asks for one is the end.
    """
    final = final_state(ending.reason)
    if not wanted or final in (J.SUCCEEDED, J.CANCELLED):
        return Outcome(final)
    if ending.reason in UNCOUNTED:
        if uncounted_before >= MOST_UNCOUNTED:
            return Outcome(final, counted=False)
        return Outcome(J.QUEUED, _delay(retries, uncounted_before), counted=False)
    then = _then(ending, retries)
    larger = then == Then.LARGER
    if counted_before < retries.limit and (then == Then.RETRY or (larger and can_grow)):
        return Outcome(J.QUEUED, _delay(retries, counted_before), larger=larger)
    return Outcome(final, larger=larger)


def _then(ending: Ending, retries: Retries) -> Then:
    """What the first rule that fits says; where none does, whether the next time may be another."""
    usual = Then.RETRY if ending.reason in RETRIED else Then.FAIL
    return next((Then(rule["then"]) for rule in retries.rules if _fits(rule, ending)), usual)


def _fits(rule: dict[str, Any], ending: Ending) -> bool:
    return (
        ("exit_codes" not in rule or ending.exit_code in rule["exit_codes"])
        and ("reason" not in rule or ending.reason == rule["reason"])
        and ("log_contains" not in rule or rule["log_contains"] in ending.log_tail)
    )


def _delay(retries: Retries, before: int) -> timedelta:
    """Doubles with each one: delay × 2^n, at most LONGEST_DELAY."""
    return min(timedelta(seconds=retries.delay_seconds) * (1 << min(before, 10)), LONGEST_DELAY)
