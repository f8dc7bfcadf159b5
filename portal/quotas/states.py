"""States of a request for GPUs and of the grant that may come of it, as data."""

from django.db import models


class RequestState(models.TextChoices):
    SUBMITTED = "submitted", "Waits for an answer"
    NEEDS_INFO = "needs_info", "Asked back"
    APPROVED_ONCE = "approved_once", "Waits for a second approval"
    APPROVED = "approved", "Approved"
    PARTLY_APPROVED = "partly_approved", "Partly approved"
    DENIED = "denied", "Denied"
    WITHDRAWN = "withdrawn", "Withdrawn"
    EXPIRED = "expired", "Not answered in time"


class GrantState(models.TextChoices):
    SCHEDULED = "scheduled", "Begins later"
    ACTIVE = "active", "Active"
    EXPIRING = "expiring", "Ends soon"
    EXPIRED = "expired", "Over"
    REVOKED = "revoked", "Revoked"


class RuleMode(models.TextChoices):
    ACTIVE = "active", "Approves at once"
    SHADOW = "shadow", "Only notes what it would do"
    OFF = "off", "Is not asked"


class WhenIdle(models.TextChoices):
    """What follows where the GPUs of a job do nothing."""

    WARN = "warn", "Its owner is told"
    STOP = "stop", "Its owner is told, and it is stopped after that"


class Resource(models.TextChoices):
    """What may be limited besides devices of a GPU class, which are called GPU and the class."""

    CPU = "cpu", "CPU"
    MEMORY = "memory_gib", "Memory"
    WORKSPACES = "workspaces", "Workspaces"
    JOBS = "jobs", "Jobs"
    GPU_HOURS = "gpu_hours", "GPU hours"
    STORAGE = "storage_gib", "Storage"


GPU = "gpu:"
NOUNS = {
    Resource.CPU: "cores",
    Resource.MEMORY: "GB of memory",
    Resource.WORKSPACES: "workspaces",
    Resource.JOBS: "jobs",
    Resource.GPU_HOURS: "GPU hours of this month",
    Resource.STORAGE: "GB of files",
}

R = RequestState
OPEN = frozenset({R.SUBMITTED, R.NEEDS_INFO, R.APPROVED_ONCE})
DECIDED = frozenset({R.APPROVED, R.PARTLY_APPROVED, R.DENIED})
_ENDS = DECIDED | {R.WITHDRAWN, R.EXPIRED}
TRANSITIONS: dict[RequestState, frozenset[RequestState]] = {
    R.SUBMITTED: _ENDS | {R.NEEDS_INFO, R.APPROVED_ONCE},
    R.NEEDS_INFO: _ENDS | {R.SUBMITTED, R.APPROVED_ONCE},
    R.APPROVED_ONCE: _ENDS | {R.NEEDS_INFO, R.APPROVED_ONCE},
    R.APPROVED: frozenset(),
    R.PARTLY_APPROVED: frozenset(),
    R.DENIED: frozenset(),
    R.WITHDRAWN: frozenset(),
    R.EXPIRED: frozenset(),
}
