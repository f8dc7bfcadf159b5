"""Size, Node, GpuDevice, Allocation, GpuHold, Transition, LogChunk, Sample, Activity and Heartbeat."""

from django.db import models
from django.db.models import F, Q

from portal.accounts.models import Team, User
from portal.compute.states import PLACED, Desired, LogState, Phase, Reason
from portal.lib import clock, ids
from portal.quotas.models import GpuClass, gpu_words

GIB = 1024**3


def _positive(field: str) -> Q:
    return Q(**{f"{field}__gt": 0})


_GPUS_HAVE_A_CLASS = Q(gpu_class=None, gpu_count=0) | Q(gpu_class__isnull=False, gpu_count__gt=0)


class Size(models.Model):
    """What a workspace or job may reserve: CPU in cores, memory in GiB, GPUs of one class. Kept by the catalog."""

    slug = models.SlugField(primary_key=True, max_length=40)
    cpu = models.DecimalField(max_digits=6, decimal_places=2)
    memory_gib = models.DecimalField(max_digits=8, decimal_places=2)
    gpu_class = models.ForeignKey(GpuClass, null=True, on_delete=models.PROTECT)
    gpu_count = models.PositiveSmallIntegerField(default=0)
    position = models.PositiveSmallIntegerField(default=0)
    retired = models.BooleanField(default=False)

    class Meta:
        ordering = ["position", "slug"]
        constraints = [
            models.CheckConstraint(condition=_positive("cpu") & _positive("memory_gib"), name="size_is_positive"),
            models.CheckConstraint(condition=_GPUS_HAVE_A_CLASS, name="size_gpus_have_a_class"),
        ]

    def __str__(self) -> str:
        return self.slug

    @property
    def memory(self) -> int:
        """Bytes."""
        return int(self.memory_gib * GIB)


class Node(models.Model):
    """One machine behind an engine: physical and schedulable CPU (cores) and memory (bytes).

    One that is cordoned takes nothing new; what runs on it goes on, but where it is drained only until `drain_at`.
    """

    id = models.CharField(primary_key=True, max_length=ids.LENGTH, default=ids.new_id, editable=False)
    name = models.CharField(max_length=200, unique=True)
    runtime = models.CharField(max_length=20)
    version = models.CharField(max_length=100, blank=True)
    isolated = models.BooleanField(default=True)
    freezes = models.BooleanField(default=True)
    cpu = models.DecimalField(max_digits=8, decimal_places=2)
    memory = models.BigIntegerField()
    schedulable_cpu = models.DecimalField(max_digits=8, decimal_places=2)
    schedulable_memory = models.BigIntegerField()
    seen_at = models.DateTimeField(default=clock.now)
    unreachable_since = models.DateTimeField(null=True)
    outage_from = models.DateTimeField(null=True)
    outage_until = models.DateTimeField(null=True)
    warning = models.CharField(max_length=300, blank=True)
    cordoned_at = models.DateTimeField(null=True)
    cordoned_because = models.CharField(max_length=200, blank=True, default="")
    drain_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(drain_at=None) | Q(cordoned_at__isnull=False), name="node_drained_is_cordoned"
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def topic(self) -> str:
        return f"node-{self.pk}"


class GpuDevice(models.Model):
    """One GPU of a node. `uuid` is what a container is given; memory in bytes; `utilisation` from 0 to 1.

    `product` is the maker's name for it; one of no class that the catalog knows is not offered. A simulated one is
    declared, not there. `missing_since`: the node no longer has it. `busy_at`: when it last did some work.
    """

    id = models.CharField(primary_key=True, max_length=ids.LENGTH, default=ids.new_id, editable=False)
    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="devices")
    uuid = models.CharField(max_length=80)
    number = models.PositiveSmallIntegerField()
    product = models.CharField(max_length=100)
    memory = models.BigIntegerField()
    gpu_class = models.ForeignKey(GpuClass, null=True, on_delete=models.PROTECT, related_name="devices")
    simulated = models.BooleanField(default=False)
    missing_since = models.DateTimeField(null=True)
    utilisation = models.FloatField(null=True)
    busy_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["node", "gpu_class", "number"]
        constraints = [models.UniqueConstraint(fields=["node", "uuid"], name="gpu_once_on_a_node")]

    def __str__(self) -> str:
        return f"{gpu_words(self.gpu_class_id) or self.product} #{self.number}"

    @classmethod
    def offered(cls) -> models.QuerySet["GpuDevice"]:
        """What may be given out, held or not."""
        return cls.objects.filter(missing_since=None, gpu_class__isnull=False)


class Allocation(models.Model):
    """Anything that holds compute. Usage, quota, cost and dashboards are sums over these rows.

    `fence` rises with every reconcile that claims the row, `rung` with every wish for another look;
    `spec` is what to run without secrets (see specs.render); `generation` counts its containers.
    `desired` is so since `desired_at`; its container is seen frozen since `frozen_at`.
    `line_at` is when it came, less the head start of its rank (see line).
    """

    id = models.CharField(primary_key=True, max_length=ids.LENGTH, default=ids.new_id, editable=False)
    owner_kind = models.CharField(max_length=20)
    owner_id = models.CharField(max_length=ids.LENGTH)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="allocations", db_index=False)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="allocations", db_index=False)
    project = models.CharField(max_length=40, blank=True, default="")
    size = models.ForeignKey(Size, on_delete=models.PROTECT)
    cpu = models.DecimalField(max_digits=6, decimal_places=2)
    memory = models.BigIntegerField()
    gpu_class = models.ForeignKey(GpuClass, null=True, on_delete=models.PROTECT, related_name="+")
    gpu_count = models.PositiveSmallIntegerField(default=0)
    spec = models.JSONField()
    node = models.ForeignKey(Node, null=True, on_delete=models.PROTECT, related_name="allocations")
    generation = models.PositiveIntegerField(default=1)

    desired = models.CharField(max_length=7, choices=Desired.choices, default=Desired.RUN)
    desired_at = models.DateTimeField(default=clock.now)
    end_reason = models.CharField(max_length=20, choices=Reason.choices, blank=True, default="")
    end_message = models.CharField(max_length=300, blank=True, default="")
    phase = models.CharField(max_length=10, choices=Phase.choices, default=Phase.PENDING)
    phase_at = models.DateTimeField(default=clock.now)
    reason = models.CharField(max_length=20, choices=Reason.choices, blank=True, default="")
    message = models.TextField(blank=True, default="")
    progress = models.FloatField(null=True)

    created_at = models.DateTimeField(default=clock.now)
    line_at = models.DateTimeField(default=clock.now)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    confirmed_at = models.DateTimeField(null=True)
    unknown_since = models.DateTimeField(null=True)
    frozen_at = models.DateTimeField(null=True)
    container_started_at = models.DateTimeField(null=True)
    address = models.CharField(max_length=60, blank=True, default="")
    exit_code = models.IntegerField(null=True)
    log_state = models.CharField(max_length=10, choices=LogState.choices, default=LogState.OPEN)
    log_removed_at = models.DateTimeField(null=True)

    lease_until = models.DateTimeField(null=True)
    fence = models.BigIntegerField(default=0)
    rung = models.BigIntegerField(default=0)
    attempts = models.PositiveIntegerField(default=0)
    next_look_at = models.DateTimeField(null=True, default=clock.now)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["owner_kind", "owner_id"],
                condition=~Q(phase=Phase.ENDED),
                name="allocation_one_open_per_owner",
            ),
            models.CheckConstraint(
                condition=Q(phase=Phase.ENDED, ended_at__isnull=False)
                | (~Q(phase=Phase.ENDED) & Q(ended_at=None, next_look_at__isnull=False)),
                name="allocation_ends_or_is_looked_at",
            ),
            models.CheckConstraint(
                condition=Q(phase__in=[Phase.PENDING, Phase.ENDED]) | Q(node__isnull=False),
                name="allocation_placed_has_node",
            ),
            models.CheckConstraint(
                condition=Q(ended_at=None) | Q(started_at=None) | Q(ended_at__gte=F("started_at")),
                name="allocation_ends_after_start",
            ),
            models.CheckConstraint(
                condition=Q(frozen_at=None) | Q(phase__in=sorted(PLACED)),
                name="allocation_frozen_is_there",
            ),
            models.CheckConstraint(condition=_positive("cpu") & _positive("memory"), name="allocation_is_positive"),
            models.CheckConstraint(condition=_GPUS_HAVE_A_CLASS, name="allocation_gpus_have_a_class"),
        ]
        indexes = [
            models.Index(fields=["next_look_at"], condition=~Q(phase=Phase.ENDED), name="allocation_due"),
            models.Index(
                fields=["line_at", "id"],
                condition=Q(phase=Phase.PENDING, desired=Desired.RUN),
                name="allocation_in_line",
            ),
            models.Index(fields=["owner_kind", "owner_id", "-created_at"], name="allocation_owner"),
            models.Index(fields=["created_at"], name="allocation_by_time"),
            models.Index(fields=["user", "created_at"], name="allocation_by_user"),
            models.Index(fields=["team", "created_at"], name="allocation_by_team"),
            models.Index(fields=["node"], condition=~Q(phase=Phase.ENDED), name="allocation_open_on_node"),
            models.Index(
                fields=["ended_at"],
                condition=Q(started_at__isnull=False, log_removed_at=None),
                name="allocation_log_is_kept",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.owner_kind} {self.owner_id} {self.phase}"

    @property
    def topic(self) -> str:
        """Name that pages subscribe to."""
        return f"{self.owner_kind}-{self.owner_id}"

    @property
    def open(self) -> bool:
        return self.phase != Phase.ENDED


class GpuHold(models.Model):
    """A device in the hands of one allocation, from its admission until its end is observed."""

    device = models.ForeignKey(GpuDevice, on_delete=models.PROTECT, related_name="holds")
    allocation = models.ForeignKey(Allocation, on_delete=models.PROTECT, related_name="holds")
    since = models.DateTimeField(default=clock.now)
    until = models.DateTimeField(null=True)

    class Meta:
        ordering = ["since", "id"]
        constraints = [
            models.UniqueConstraint(fields=["device"], condition=Q(until=None), name="gpu_is_held_once"),
            models.CheckConstraint(
                condition=Q(until=None) | Q(until__gte=F("since")), name="gpu_hold_ends_after_start"
            ),
        ]
        indexes = [models.Index(fields=["allocation"], condition=Q(until=None), name="gpu_hold_open")]

    def __str__(self) -> str:
        return f"{self.device} held by {self.allocation_id}"


class PastUse(models.Model):
    """What one person had in one team and has let go again: core-hours as they counted at `at` (see shares)."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    amount = models.FloatField()
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["team", "user"], name="past_use_once"),
            models.CheckConstraint(condition=Q(amount__gte=0), name="past_use_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.team_id}"


class Transition(models.Model):
    """One step of an allocation: the timeline, and what notifications hang off."""

    allocation = models.ForeignKey(Allocation, on_delete=models.CASCADE, related_name="transitions")
    at = models.DateTimeField(default=clock.now)
    from_phase = models.CharField(max_length=10, choices=Phase.choices, blank=True)
    to_phase = models.CharField(max_length=10, choices=Phase.choices)
    generation = models.PositiveIntegerField()
    reason = models.CharField(max_length=20, choices=Reason.choices, blank=True, default="")
    message = models.TextField(blank=True, default="")
    actor = models.CharField(max_length=200)

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["allocation", "id"])]

    def __str__(self) -> str:
        return f"{self.from_phase} → {self.to_phase}"


class LogChunk(models.Model):
    """A compressed run of log lines in storage; lines are numbered from 1 within an allocation.

    The times are the earliest and the latest in it; sizes are in bytes, `text_size` before compression.
    """

    allocation = models.ForeignKey(Allocation, on_delete=models.CASCADE, related_name="log_chunks")
    first_seq = models.BigIntegerField()
    last_seq = models.BigIntegerField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    size = models.PositiveIntegerField()
    text_size = models.PositiveIntegerField(default=0)
    path = models.CharField(max_length=200)

    class Meta:
        ordering = ["first_seq"]
        indexes = [
            models.Index(fields=["allocation", "last_seq"], name="log_chunk_by_number"),
            models.Index(fields=["allocation", "last_at"], name="log_chunk_by_time"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["allocation", "first_seq"], name="log_chunk_once"),
            models.CheckConstraint(condition=Q(last_seq__gte=F("first_seq")), name="log_chunk_not_empty"),
        ]

    def __str__(self) -> str:
        return self.path


class Sample(models.Model):
    """Use at one moment: CPU in cores averaged since the sample before, memory in bytes, GPU in devices.

    0.5 devices may be one that works half of the time, or one of two that works all of it; null where nobody can say.
    """

    allocation = models.ForeignKey(Allocation, on_delete=models.CASCADE, related_name="samples")
    at = models.DateTimeField()
    cpu = models.FloatField()
    memory = models.BigIntegerField()
    gpu = models.FloatField(null=True)

    class Meta:
        ordering = ["at"]
        indexes = [models.Index(fields=["allocation", "at"])]

    def __str__(self) -> str:
        return f"{self.cpu:.2f} cores, {self.memory} bytes"


class Activity(models.Model):
    """When each kind of work was last seen in what runs for an allocation. Written by the agent.

    `asked_at`: the last time every question was answered; `known_since`: since when that was so without a gap;
    `trouble` is what hinders it now. `terminal_command` is what ran in a terminal at `terminal_at`;
    `used_at` is when somebody worked in it, where the application knows.
    """

    allocation = models.OneToOneField(Allocation, primary_key=True, on_delete=models.CASCADE, related_name="activity")
    known_since = models.DateTimeField(null=True)
    asked_at = models.DateTimeField(null=True)
    trouble = models.CharField(max_length=200, blank=True, default="")
    kernel_at = models.DateTimeField(null=True)
    terminal_at = models.DateTimeField(null=True)
    terminal_command = models.CharField(max_length=60, blank=True, default="")
    used_at = models.DateTimeField(null=True)
    cpu_at = models.DateTimeField(null=True)
    gpu_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.allocation_id} asked {self.asked_at}"


class Heartbeat(models.Model):
    """When a process last proved that it does its work, not merely that it lives."""

    name = models.CharField(primary_key=True, max_length=60)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} {self.at:%H:%M:%S}"
