"""Phases, reasons and transitions of an allocation, and who goes first in line, as data."""

from datetime import timedelta
from enum import StrEnum

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
    SUSPEND = "suspend", "Stay in place, frozen"
    END = "end", "End"


class Rank(StrEnum):
    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    INTERACTIVE = "interactive"


HEAD_START = {
    Rank.LOW: timedelta(hours=-6),
    Rank.NORMAL: timedelta(),
    Rank.HIGH: timedelta(hours=6),
    Rank.INTERACTIVE: timedelta(hours=12),
}
"""It stands in line as if it had come so much earlier; what has waited that much longer still goes first."""


class Reason(models.TextChoices):
    """Why an allocation ended; one code, and its plain name."""

    NONE = "", ""
    COMPLETED = "completed", "It finished"
    FAILED = "failed", "It ended with an error"
    OOM = "oom", "It ran out of memory"
    IMAGE_ERROR = "image_error", "Its image could not be fetched"
    SECRET_ERROR = "secret_error", "A secret could not be read"
    START_TIMEOUT = "start_timeout", "It did not answer in time"
    STOPPED = "stopped", "Stopped"
    LOST = "lost", "Its container disappeared"
    ENGINE_RESTART = "engine_restart", "The container engine was restarted"
    ENGINE_ERROR = "engine_error", "The container engine refused it"
    CANCELLED = "cancelled", "Cancelled before it ran"
    IDLE = "idle", "Stopped because nothing ran in it"
    MAX_DURATION = "max_duration", "It took longer than it was given"
    DRAINED = "drained", "Its node was emptied"
    PREEMPTED = "preempted", "What it held was borrowed, and the team it belongs to needed it"


class LogState(models.TextChoices):
    """How much of a log is in the archive. While it is open, its container is kept for the rest."""

    OPEN = "open", "More may come"
    COMPLETE = "complete", "All of it is here"
    TRUNCATED = "truncated", "Its end is missing"
    LOST = "lost", "It is lost"
    OVER_QUOTA = "over_quota", "It grew too long: lines after the last one are not kept"
    REMOVED = "removed", "It was removed when its time was over"


class ActivityKind(models.TextChoices):
    """How an application is asked what runs in it."""

    JUPYTER = "jupyter", "Jupyter: its kernels and terminals"
    CODE_SERVER = "code-server", "code-server: its terminals and tasks"
    RSTUDIO = "rstudio", "RStudio: its terminals"
    WEB = "web", "Any web application"


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
        Reason.SECRET_ERROR,
        Reason.START_TIMEOUT,
        Reason.LOST,
        Reason.ENGINE_ERROR,
    }
)
