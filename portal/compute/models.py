"""Size, Node, Allocation, Transition, LogChunk, Sample and Heartbeat."""

from django.db import models
from django.db.models import F, Q

from portal.accounts.models import Team, User
from portal.compute.states import Desired, Phase, Reason
from portal.lib import clock, ids

GIB = 1024**3


def _positive(field: str) -> Q:
    return Q(**{f"{field}__gt": 0})


class Size(models.Model):
    """What a workspace or job may reserve: CPU in cores, memory in GiB. Kept by the catalog."""

    slug = models.SlugField(primary_key=True, max_length=40)
    cpu = models.DecimalField(max_digits=6, decimal_places=2)
    memory_gib = models.DecimalField(max_digits=8, decimal_places=2)
    position = models.PositiveSmallIntegerField(default=0)
    retired = models.BooleanField(default=False)

    class Meta:
        ordering = ["position", "slug"]
        constraints = [
            models.CheckConstraint(condition=_positive("cpu") & _positive("memory_gib"), name="size_is_positive")
        ]

    def __str__(self) -> str:
        return self.slug

    @property
    def memory(self) -> int:
        """Bytes."""
        return int(self.memory_gib * GIB)


class Node(models.Model):
    """One machine behind an engine: physical and schedulable CPU (cores) and memory (bytes)."""

    id = models.CharField(primary_key=True, max_length=ids.LENGTH, default=ids.new_id, editable=False)
    name = models.CharField(max_length=200, unique=True)
    runtime = models.CharField(max_length=20)
    version = models.CharField(max_length=100, blank=True)
    isolated = models.BooleanField(default=True)
    cpu = models.DecimalField(max_digits=8, decimal_places=2)
    memory = models.BigIntegerField()
    schedulable_cpu = models.DecimalField(max_digits=8, decimal_places=2)
    schedulable_memory = models.BigIntegerField()
    seen_at = models.DateTimeField(default=clock.now)
    unreachable_since = models.DateTimeField(null=True)
    outage_from = models.DateTimeField(null=True)
    outage_until = models.DateTimeField(null=True)
    warning = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Allocation(models.Model):
    """Anything that holds compute. Usage, quota, cost and dashboards are sums over these rows.

    `fence` rises with every reconcile that claims the row, `rung` with every wish for another look;
    `spec` is what to run without secrets (see specs.render); `generation` counts its containers.
    """

    id = models.CharField(primary_key=True, max_length=ids.LENGTH, default=ids.new_id, editable=False)
    owner_kind = models.CharField(max_length=20)
    owner_id = models.CharField(max_length=ids.LENGTH)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="allocations")
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="allocations")
    size = models.ForeignKey(Size, on_delete=models.PROTECT)
    cpu = models.DecimalField(max_digits=6, decimal_places=2)
    memory = models.BigIntegerField()
    spec = models.JSONField()
    node = models.ForeignKey(Node, null=True, on_delete=models.PROTECT, related_name="allocations")
    generation = models.PositiveIntegerField(default=1)

    desired = models.CharField(max_length=5, choices=Desired.choices, default=Desired.RUN)
    end_reason = models.CharField(max_length=20, choices=Reason.choices, blank=True, default="")
    phase = models.CharField(max_length=10, choices=Phase.choices, default=Phase.PENDING)
    phase_at = models.DateTimeField(default=clock.now)
    reason = models.CharField(max_length=20, choices=Reason.choices, blank=True, default="")
    message = models.TextField(blank=True, default="")
    progress = models.FloatField(null=True)

    created_at = models.DateTimeField(default=clock.now)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    confirmed_at = models.DateTimeField(null=True)
    unknown_since = models.DateTimeField(null=True)
    container_started_at = models.DateTimeField(null=True)
    address = models.CharField(max_length=60, blank=True, default="")
    exit_code = models.IntegerField(null=True)
    log_state = models.CharField(max_length=10, default="open")

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
            models.CheckConstraint(condition=_positive("cpu") & _positive("memory"), name="allocation_is_positive"),
        ]
        indexes = [
            models.Index(fields=["next_look_at"], condition=~Q(phase=Phase.ENDED), name="allocation_due"),
            models.Index(fields=["owner_kind", "owner_id", "-created_at"], name="allocation_owner"),
            models.Index(fields=["node"], condition=~Q(phase=Phase.ENDED), name="allocation_open_on_node"),
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
    """A compressed run of log lines in storage; lines are numbered from 1 within an allocation."""

    allocation = models.ForeignKey(Allocation, on_delete=models.CASCADE, related_name="log_chunks")
    first_seq = models.BigIntegerField()
    last_seq = models.BigIntegerField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    size = models.PositiveIntegerField()
    path = models.CharField(max_length=200)

    class Meta:
        ordering = ["first_seq"]
        constraints = [
            models.UniqueConstraint(fields=["allocation", "first_seq"], name="log_chunk_once"),
            models.CheckConstraint(condition=Q(last_seq__gte=F("first_seq")), name="log_chunk_not_empty"),
        ]

    def __str__(self) -> str:
        return self.path


class Sample(models.Model):
    """Use at one moment: CPU in cores averaged since the sample before, memory in bytes."""

    allocation = models.ForeignKey(Allocation, on_delete=models.CASCADE, related_name="samples")
    at = models.DateTimeField()
    cpu = models.FloatField()
    memory = models.BigIntegerField()

    class Meta:
        ordering = ["at"]
        indexes = [models.Index(fields=["allocation", "at"])]

    def __str__(self) -> str:
        return f"{self.cpu:.2f} cores, {self.memory} bytes"


class Heartbeat(models.Model):
    """When a process last proved that it does its work, not merely that it lives."""

    name = models.CharField(primary_key=True, max_length=60)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} {self.at:%H:%M:%S}"
