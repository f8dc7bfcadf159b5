"""States of images and workspaces, as data."""

from django.db import models
from django.db.models import Q

from portal.compute.models import Allocation
from portal.compute.states import COMING_UP, FAILURES, Desired, Phase


class ImageState(models.TextChoices):
    QUEUED = "queued", "Waiting to be built"
    BUILDING = "building", "Building"
    READY = "ready", "Ready"
    FAILED = "failed", "Failed"
    REMOVED = "removed", "Not on the machine"


class TemplateKind(models.TextChoices):
    WORKSPACE = "workspace", "Workspace"
    JOB = "job", "Job"
    IMAGE = "image", "Images that jobs may name"


class VolumeKind(models.TextChoices):
    HOME = "home", "Home"
    TEAM = "team", "Team"
    DATASET = "dataset", "Dataset"
    JOB = "job", "Job"
    MODEL = "model", "Model"


class WorkspaceState(models.TextChoices):
    QUEUED = "queued", "Queued"
    STARTING = "starting", "Starting"
    RUNNING = "running", "Running"
    SUSPENDED = "suspended", "Suspended"
    STOPPING = "stopping", "Stopping"
    STOPPED = "stopped", "Stopped"
    FAILED = "failed", "Failed"
    UNREACHABLE = "unreachable", "Unreachable"
    DELETED = "deleted", "Deleted"


class ShareRight(models.TextChoices):
    VIEW = "view", "See it"
    USE = "use", "Use it"


class Serves(models.TextChoices):
    """What a workspace can be for all jobs of its team."""

    MLFLOW = "mlflow", "MLflow"


class Answer(models.TextChoices):
    ACCEPTED = "accepted", "Accepted"
    DECLINED = "declined", "Declined"
    WITHDRAWN = "withdrawn", "Withdrawn"


class Counted(models.TextChoices):
    """What counts as use of a running workspace, and how a page says it."""

    STARTED = "started", "It was started"
    KNOWN = "known", "Berth could see again what runs in it"
    TRAFFIC = "traffic", "Somebody used it"
    KERNEL = "kernel", "A kernel ran"
    TERMINAL = "terminal", "A command ran in a terminal"
    CPU = "cpu", "Its CPU was busy"
    GPU = "gpu", "Its GPU was busy"


W = WorkspaceState
UP = frozenset({W.RUNNING, W.SUSPENDED})
"""Its application has come up, and what it holds in memory is there."""
ACTIVE = UP | {W.QUEUED, W.STARTING, W.STOPPING, W.UNREACHABLE}


def state_of(allocation: Allocation | None, deleted: bool) -> WorkspaceState:
    """A workspace's state is derived from its latest allocation, never stored."""
    if allocation is None or not allocation.open:
        if deleted:
            return W.DELETED
        failed = allocation is not None and allocation.reason in FAILURES
        return W.FAILED if failed else W.STOPPED
    if allocation.unknown_since is not None:
        return W.UNREACHABLE
    if allocation.desired == Desired.END or allocation.phase == Phase.STOPPING:
        return W.STOPPING
    if allocation.phase == Phase.PENDING:
        return W.QUEUED
    if allocation.phase in COMING_UP:
        return W.STARTING
    return W.SUSPENDED if allocation.desired == Desired.SUSPEND else W.RUNNING


def where_state(state: WorkspaceState) -> Q:
    """The same as `state_of`, as a filter on workspaces."""
    over = Q(allocation=None) | Q(allocation__phase=Phase.ENDED)
    broken = Q(allocation__phase=Phase.ENDED, allocation__reason__in=FAILURES)
    unknown = ~over & Q(allocation__unknown_since__isnull=False)
    ending = ~over & ~unknown & (Q(allocation__desired=Desired.END) | Q(allocation__phase=Phase.STOPPING))
    wanted = ~over & ~unknown & ~ending
    up = wanted & Q(allocation__phase=Phase.RUNNING)
    still = Q(allocation__desired=Desired.SUSPEND)
    return {
        W.DELETED: over & Q(deleted_at__isnull=False),
        W.FAILED: broken & Q(deleted_at=None),
        W.STOPPED: over & ~broken & Q(deleted_at=None),
        W.UNREACHABLE: unknown,
        W.STOPPING: ending,
        W.QUEUED: wanted & Q(allocation__phase=Phase.PENDING),
        W.STARTING: wanted & Q(allocation__phase__in=COMING_UP),
        W.RUNNING: up & ~still,
        W.SUSPENDED: up & still,
    }[state]
