"""Phases, reasons and transitions of an allocation, as data."""

from django.db import models


class Phase(models.TextChoices):
    PENDING = "pending", "Queued"
    ADMITTED = "admitted", "Placed"
    PULLING = "pulling", "Fetching the image"
    CREATING = "creating", "Creating the container"
    STARTING = "starting", "Starting"
    RUNNING = "running", "Running"
    STOPPING = "stopping", "Stopping"
    ENDED = "ended", "Ended"


class Desired(models.TextChoices):
    RUN = "run", "Run"
    END = "end", "End"


class Reason(models.TextChoices):
    """Why an allocation ended; one code, and its plain name."""

    NONE = "", ""
    COMPLETED = "completed", "It finished"
    FAILED = "failed", "It ended with an error"
    OOM = "oom", "It ran out of memory"
    IMAGE_ERROR = "image_error", "Its image could not be fetched"
    START_TIMEOUT = "start_timeout", "It did not answer in time"
    STOPPED = "stopped", "Stopped"
    LOST = "lost", "Its container disappeared"
    ENGINE_RESTART = "engine_restart", "The container engine was restarted"
    ENGINE_ERROR = "engine_error", "The container engine refused it"
    CANCELLED = "cancelled", "Cancelled before it ran"


P = Phase
TRANSITIONS: dict[Phase, frozenset[Phase]] = {
    P.PENDING: frozenset({P.ADMITTED, P.ENDED}),
    P.ADMITTED: frozenset({P.PULLING, P.CREATING, P.STOPPING, P.ENDED}),
    P.PULLING: frozenset({P.CREATING, P.STOPPING, P.ENDED}),
    P.CREATING: frozenset({P.STARTING, P.PULLING, P.STOPPING, P.ENDED}),
    P.STARTING: frozenset({P.RUNNING, P.CREATING, P.STOPPING, P.ENDED}),
    P.RUNNING: frozenset({P.CREATING, P.STARTING, P.STOPPING, P.ENDED}),
    P.STOPPING: frozenset({P.ENDED}),
    P.ENDED: frozenset(),
}

PLACED = frozenset({P.ADMITTED, P.PULLING, P.CREATING, P.STARTING, P.RUNNING, P.STOPPING})
"""Phases that hold a share of a node."""

COMING_UP = frozenset({P.ADMITTED, P.PULLING, P.CREATING, P.STARTING})
FAILURES = frozenset(
    {
        Reason.FAILED,
        Reason.OOM,
        Reason.IMAGE_ERROR,
        Reason.START_TIMEOUT,
        Reason.LOST,
        Reason.ENGINE_ERROR,
    }
)
