"""Image, Template, TemplateVersion, Volume and Workspace."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from environments.states import ImageState
from portal.accounts.models import Team, User
from portal.compute.models import Allocation, Size
from portal.lib import clock, ids


class Image(models.Model):
    """An image that templates run: built from `images/<context>/`, or pulled by digest.

    `reference` is the tag that carries the context's content hash, or `repository@sha256:…`;
    `digest` is the engine's id of it once it is there. `working_until` is the lease of who builds it.
    """

    name = models.SlugField(primary_key=True, max_length=60)
    context = models.CharField(max_length=100, blank=True)
    reference = models.CharField(max_length=300)
    state = models.CharField(max_length=10, choices=ImageState.choices, default=ImageState.QUEUED)
    progress = models.FloatField(null=True)
    message = models.TextField(blank=True)
    log_tail = models.TextField(blank=True)
    digest = models.CharField(max_length=100, blank=True)
    size = models.BigIntegerField(null=True)
    ready_at = models.DateTimeField(null=True)
    working_until = models.DateTimeField(null=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=~Q(state="ready") | ~Q(digest=""), name="image_ready_has_digest")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def topic(self) -> str:
        return f"image-{self.name}"


class Template(models.Model):
    """What the catalog offers; kept by `manage.py catalog apply`. An empty team list means nobody."""

    slug = models.SlugField(primary_key=True, max_length=60)
    name = models.CharField(max_length=100)
    summary = models.CharField(max_length=300)
    kind = models.CharField(max_length=10, choices=[("workspace", "Workspace"), ("job", "Job")])
    ide = models.CharField(max_length=20, blank=True)
    icon_letter = models.CharField(max_length=1)
    icon_colour = models.CharField(max_length=20)
    teams = ArrayField(models.CharField(max_length=50))
    sizes = models.ManyToManyField(Size, related_name="templates")
    default_size = models.ForeignKey(Size, on_delete=models.PROTECT, related_name="+")
    position = models.PositiveSmallIntegerField(default=0)
    retired = models.BooleanField(default=False)

    class Meta:
        ordering = ["position", "slug"]

    def __str__(self) -> str:
        return self.name


class TemplateVersion(models.Model):
    """One published version; never changed afterwards, so that what uses it stays runnable."""

    template = models.ForeignKey(Template, on_delete=models.PROTECT, related_name="versions")
    version = models.CharField(max_length=40)
    summary = models.CharField(max_length=300, blank=True)
    image = models.ForeignKey(Image, on_delete=models.PROTECT, related_name="versions")
    command = ArrayField(models.CharField(max_length=500))
    environment = models.JSONField(default=dict)
    port = models.PositiveIntegerField()
    health_path = models.CharField(max_length=200)
    door_header = models.CharField(max_length=200)
    parameters = models.JSONField(default=dict)
    published_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["-published_at"]
        constraints = [models.UniqueConstraint(fields=["template", "version"], name="template_version_once")]

    def __str__(self) -> str:
        return f"{self.template_id} {self.version}"


class Volume(models.Model):
    """Files that outlive containers; a person's home is one volume, mounted in all their workspaces."""

    id = models.CharField(primary_key=True, max_length=ids.LENGTH, default=ids.new_id, editable=False)
    owner = models.ForeignKey(User, on_delete=models.PROTECT, related_name="volumes")
    engine_name = models.CharField(max_length=120, unique=True)
    created_at = models.DateTimeField(default=clock.now)
    delete_requested_at = models.DateTimeField(null=True)
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner"], condition=Q(delete_requested_at=None), name="volume_one_home")
        ]

    def __str__(self) -> str:
        return self.engine_name


class Workspace(models.Model):
    """What a person comes back to. Its state is that of its latest allocation (states.state_of)."""

    id = models.CharField(primary_key=True, max_length=ids.LENGTH, default=ids.new_id, editable=False)
    name = models.CharField(max_length=60)
    owner = models.ForeignKey(User, on_delete=models.PROTECT, related_name="workspaces")
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="workspaces")
    version = models.ForeignKey(TemplateVersion, on_delete=models.PROTECT, related_name="workspaces")
    size = models.ForeignKey(Size, on_delete=models.PROTECT)
    home = models.ForeignKey(Volume, on_delete=models.PROTECT, related_name="workspaces")
    parameters = models.JSONField(default=dict)
    environment = models.JSONField(default=dict)
    allocation = models.OneToOneField(Allocation, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=clock.now)
    last_activity_at = models.DateTimeField(null=True)
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "name"], condition=Q(deleted_at=None), name="workspace_name_once_per_owner"
            )
        ]
        indexes = [models.Index(fields=["owner", "-created_at"], name="workspace_of_owner")]

    def __str__(self) -> str:
        return self.name

    @property
    def topic(self) -> str:
        return f"workspace-{self.pk}"
