"""Models that teams keep: a name, and numbered versions that are artifacts of jobs."""

from django.db import models
from django.db.models import Q

from environments.models import Volume
from jobs.model_states import VersionState
from portal.accounts.models import Team, User
from portal.lib import clock, ids


class Model(models.Model):
    """A name within a team; all that can be used are its versions."""

    id = models.CharField(primary_key=True, max_length=ids.LENGTH, default=ids.new_id, editable=False)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="models")
    name = models.CharField(max_length=60)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["team", "name"], name="model_name_once_per_team")]

    def __str__(self) -> str:
        return self.name

    @property
    def topic(self) -> str:
        return f"model-{self.pk}"

    def get_absolute_url(self) -> str:
        return f"/jobs/models/{self.team.slug}/{self.name}/"


class ModelVersion(models.Model):
    """What `job` left at `path`, a file or all below a folder; `number` counts from 1 and is never given twice.

    `sha256` is that of the file; of a folder, over each file's path in it and sha256, in the order of paths.
    `metrics` has the last value of each metric of the job. Its files are in `volume`, alone (see model_files.py);
    `files_until` is the lease of who puts them there. A deleted version keeps its row, for the jobs that used it.
    """

    id = models.CharField(primary_key=True, max_length=ids.LENGTH, default=ids.new_id, editable=False)
    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    job = models.ForeignKey("jobs.Job", on_delete=models.PROTECT, related_name="kept_models")
    path = models.TextField()
    is_file = models.BooleanField()
    size = models.BigIntegerField()
    files = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    metrics = models.JSONField(default=dict)
    note = models.CharField(max_length=500, blank=True, default="")
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=clock.now)
    volume = models.OneToOneField(Volume, on_delete=models.PROTECT, related_name="model_version")
    state = models.CharField(max_length=10, choices=VersionState.choices, default=VersionState.WAITING)
    message = models.TextField(blank=True, default="")
    files_until = models.DateTimeField(null=True)
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["model", "number"], name="model_number_once"),
            models.CheckConstraint(condition=Q(number__gte=1), name="model_number_from_one"),
            models.CheckConstraint(
                condition=Q(state=VersionState.DELETED, deleted_at__isnull=False)
                | (~Q(state=VersionState.DELETED) & Q(deleted_at=None)),
                name="model_version_deleted_once",
            ),
        ]
        indexes = [models.Index(fields=["id"], condition=Q(state="waiting"), name="model_version_to_fill")]

    def __str__(self) -> str:
        return f"{self.model.name}:{self.number}"

    @property
    def topic(self) -> str:
        return f"model-version-{self.pk}"

    @property
    def folder(self) -> str:
        """Its last part where jobs find it."""
        return f"{self.model.name}-{self.number}"

    @property
    def usable(self) -> bool:
        return self.state == VersionState.READY

    def inside(self, path: str) -> str:
        """Where that artifact lies in its volume: the file by its own name, others by their path in the folder."""
        return path.rpartition("/")[2] if self.is_file else path.removeprefix(f"{self.path}/")

    def get_absolute_url(self) -> str:
        return f"{self.model.get_absolute_url()}{self.number}/"
