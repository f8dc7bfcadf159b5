"""What runs to an end: Job, its attempts, what it measured of itself, the files it left; and views of the list."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from environments.dataset_models import DatasetVersion
from environments.models import Dataset, TemplateVersion, Volume, Workspace
from jobs.model_models import ModelVersion
from jobs.plan_models import Schedule, Sweep
from jobs.plan_states import AfterCondition, Hold
from jobs.states import FINAL, ArtifactsState, CodeState, JobState, Priority, Retries
from portal.accounts.models import Secret, Team, User
from portal.compute.models import Allocation, Size
from portal.compute.states import Reason
from portal.lib import clock, ids


class Snapshot(models.Model):
    """A folder of somebody's home as it once was: all jobs that share it begin with the same files.

    `folder` of `source`, or what the archive of that name holds, is copied to `code` in `volume`, which jobs only read;
    they work on a copy of their own.
    `hash` is a sha256 over paths and contents. `files_until` is the lease of who copies.
    """

    id = models.CharField(primary_key=True, max_length=ids.LENGTH, default=ids.new_id, editable=False)
    source = models.ForeignKey(Volume, on_delete=models.PROTECT, related_name="snapshots")
    folder = models.CharField(max_length=500, blank=True)
    volume = models.OneToOneField(Volume, on_delete=models.PROTECT, related_name="snapshot")
    state = models.CharField(max_length=10, choices=CodeState.choices, default=CodeState.WAITING)
    hash = models.CharField(max_length=64, blank=True, default="")
    files_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(state=CodeState.READY) | ~Q(hash=""), name="snapshot_ready_has_hash"),
        ]
        indexes = [models.Index(fields=["id"], condition=Q(state=CodeState.WAITING), name="snapshot_to_copy")]

    def __str__(self) -> str:
        return f"~/{self.folder}"


class Job(models.Model):
    """What was asked for, and how it went. Its state is written as its attempts' allocations move (see actions).

    All attempts work in `volume`: `code` is the working folder, `outputs` and `checkpoints` stand beside it.
    `begin_at` is when the next attempt may begin; null while one is under way, and when it is over.
    What `hold`s it back has it queued without a `begin_at`. `point` counts from 1 in its `sweep`. Of its `schedule` it
    was made for the time `due_at`, or for `due_version` of the dataset which that follows. `after` are jobs that were
    there before it, so they never wait in a circle.
    `files_until` is the lease of who collects its files; those of a `pinned` job are kept for ever.
    What it leaves at `keep_path` becomes a version of the model `keep_as` when it has succeeded.
    `git_commit` and `code_hash` say what ran, `dataset_versions` what its attempts found when they began. `progress` is
    from 0 to 1; `scalar_count` counts the numbers that were kept of what it said.
    """

    id = models.CharField(primary_key=True, max_length=ids.LENGTH, default=ids.new_id, editable=False)
    name = models.CharField(max_length=60)
    owner = models.ForeignKey(User, on_delete=models.PROTECT, related_name="jobs")
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="jobs")
    version = models.ForeignKey(TemplateVersion, on_delete=models.PROTECT, related_name="jobs")
    size = models.ForeignKey(Size, on_delete=models.PROTECT)
    project = models.CharField(max_length=40, blank=True, default="")
    command = ArrayField(models.TextField())
    parameters = models.JSONField(default=dict)
    environment = models.JSONField(default=dict)
    git_url = models.CharField(max_length=500, blank=True)
    git_ref = models.CharField(max_length=200, blank=True)
    workspace = models.ForeignKey(Workspace, null=True, on_delete=models.PROTECT, related_name="jobs")
    folder = models.CharField(max_length=500, blank=True)
    snapshot = models.ForeignKey(Snapshot, null=True, on_delete=models.PROTECT, related_name="jobs")
    datasets = models.ManyToManyField(Dataset, related_name="jobs")
    dataset_versions = models.ManyToManyField(DatasetVersion, related_name="jobs")
    secrets = models.ManyToManyField(Secret, related_name="jobs")
    used_models = models.ManyToManyField(ModelVersion, related_name="users")
    keep_as = models.CharField(max_length=60, blank=True, default="")
    keep_path = models.CharField(max_length=500, blank=True, default="")
    outputs = ArrayField(models.CharField(max_length=500), default=list)
    max_duration_seconds = models.PositiveIntegerField(null=True)
    grace_seconds = models.PositiveIntegerField(default=30)
    retries = models.PositiveSmallIntegerField(default=0)
    retry_delay_seconds = models.PositiveIntegerField(default=10)
    retry_rules = models.JSONField(default=list)
    priority = models.CharField(max_length=10, choices=Priority.choices, default=Priority.NORMAL)
    rerun_of = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="reruns")
    after = models.ManyToManyField("self", symmetrical=False, related_name="followers")
    after_condition = models.CharField(
        max_length=15, choices=AfterCondition.choices, default=AfterCondition.ALL_SUCCEEDED
    )
    sweep = models.ForeignKey(Sweep, null=True, on_delete=models.PROTECT, related_name="jobs")
    point = models.PositiveIntegerField(null=True)
    schedule = models.ForeignKey(Schedule, null=True, on_delete=models.SET_NULL, related_name="jobs")
    due_at = models.DateTimeField(null=True)
    due_version = models.ForeignKey(DatasetVersion, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=clock.now)

    state = models.CharField(max_length=10, choices=JobState.choices, default=JobState.QUEUED)
    reason = models.CharField(max_length=20, choices=Reason.choices, blank=True, default="")
    message = models.TextField(blank=True, default="")
    exit_code = models.IntegerField(null=True)
    progress = models.FloatField(null=True)
    scalar_count = models.PositiveIntegerField(default=0)
    hold = models.CharField(max_length=5, choices=Hold.choices, blank=True, default=Hold.NONE)
    begin_at = models.DateTimeField(null=True)
    begun_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    cancelled_by = models.CharField(max_length=200, blank=True, default="")
    volume = models.ForeignKey(Volume, on_delete=models.PROTECT, related_name="jobs")
    git_commit = models.CharField(max_length=64, blank=True, default="")
    artifacts_state = models.CharField(max_length=10, choices=ArtifactsState.choices, default=ArtifactsState.NONE)
    files_until = models.DateTimeField(null=True)
    pinned = models.BooleanField(default=False)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=sorted(FINAL), ended_at__isnull=False, begin_at=None)
                | (~Q(state__in=sorted(FINAL)) & Q(ended_at=None)),
                name="job_ends_once",
            ),
            models.CheckConstraint(
                condition=Q(progress=None) | Q(progress__gte=0, progress__lte=1), name="job_progress_is_a_share"
            ),
            models.CheckConstraint(
                condition=Q(hold="") | Q(state=JobState.QUEUED, begin_at=None), name="job_held_is_queued"
            ),
            models.CheckConstraint(
                condition=Q(sweep=None, point=None) | Q(sweep__isnull=False, point__gte=1),
                name="job_of_sweep_is_a_point",
            ),
            models.UniqueConstraint(fields=["sweep", "point"], name="job_point_once"),
            models.UniqueConstraint(fields=["schedule", "due_at"], name="job_due_once"),
            models.UniqueConstraint(fields=["schedule", "due_version"], name="job_due_version_once"),
        ]
        indexes = [
            models.Index(fields=["owner", "-id"], name="job_of_owner"),
            models.Index(fields=["team", "-id"], name="job_of_team"),
            models.Index(fields=["owner", "state", "-id"], name="job_in_state"),
            models.Index(fields=["state", "-id"], name="job_by_state"),
            models.Index(fields=["ended_at"], name="job_by_end"),
            models.Index(fields=["begin_at"], condition=Q(begin_at__isnull=False), name="job_to_begin"),
            models.Index(fields=["hold", "sweep", "id"], condition=~Q(hold=""), name="job_held"),
            models.Index(fields=["artifacts_state"], condition=Q(artifacts_state="waiting"), name="job_to_collect"),
            models.Index(
                fields=["ended_at"],
                condition=Q(pinned=False) & ~Q(artifacts_state=ArtifactsState.REMOVED),
                name="job_to_forget",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def topic(self) -> str:
        return f"job-{self.pk}"

    @property
    def over(self) -> bool:
        return self.state in FINAL

    @property
    def code_hash(self) -> str:
        """Of its snapshot; empty without one, and until it is there."""
        return self.snapshot.hash if self.snapshot else ""

    @property
    def code_never_came(self) -> bool:
        """Whether it ended before the folder it asked for was copied."""
        state = self.snapshot.state if self.snapshot else None
        return state == CodeState.FAILED or (state == CodeState.WAITING and self.over)

    @property
    def retrying(self) -> Retries:
        return Retries(self.retries, self.retry_delay_seconds, self.retry_rules)

    def get_absolute_url(self) -> str:
        return f"/jobs/{self.pk}/"


class Attempt(models.Model):
    """One run of a job; `number` counts from 1. `counted` is null until it has ended (see states.Outcome).

    `idle_told_at`: since when its owner knows that its GPUs do nothing, as long as they do. `tracking` is its team's
    tracking server, if it was given that; `tracking_note` says why it was not, where the team had one.
    """

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    allocation = models.OneToOneField(Allocation, on_delete=models.PROTECT, related_name="attempt")
    counted = models.BooleanField(null=True)
    idle_told_at = models.DateTimeField(null=True)
    tracking = models.ForeignKey(Workspace, null=True, on_delete=models.SET_NULL, related_name="+")
    tracking_note = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["job", "number"], name="attempt_number_once"),
            models.UniqueConstraint(fields=["job"], condition=Q(counted=None), name="attempt_one_under_way"),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.job_id}"


class Scalar(models.Model):
    """A number that a job said of itself: a line `::metric name=value step=n::` of its log, numbered `seq`."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="scalars")
    attempt = models.ForeignKey(Attempt, on_delete=models.CASCADE, related_name="scalars")
    seq = models.BigIntegerField()
    name = models.CharField(max_length=100)
    step = models.BigIntegerField()
    value = models.FloatField()
    at = models.DateTimeField()

    class Meta:
        ordering = ["seq"]
        constraints = [models.UniqueConstraint(fields=["attempt", "seq"], name="scalar_once")]
        indexes = [
            models.Index(fields=["job", "name", "step"], name="scalar_of_job"),
            models.Index(fields=["attempt", "name", "-seq"], name="scalar_latest"),
        ]

    def __str__(self) -> str:
        return f"{self.name}={self.value} at {self.step}"


class Artifact(models.Model):
    """A file that a job left below one of its outputs; it stays where it was written, in the job's volume.

    `path` is relative to the volume's folder, size in bytes, `sha256` in hexadecimal.
    """

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="artifacts")
    path = models.TextField()
    size = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)

    class Meta:
        ordering = ["path"]
        constraints = [
            models.UniqueConstraint(fields=["job", "path"], name="artifact_once"),
            models.CheckConstraint(condition=Q(size__gte=0), name="artifact_size_not_negative"),
        ]

    def __str__(self) -> str:
        return self.path
