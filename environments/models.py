"""The models of what can run and what runs for a person: catalog, images, files, workspaces and their shares."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from environments.schedules import Plan
from environments.states import Answer, Counted, ImageState, Serves, ShareRight, TemplateKind, VolumeKind
from portal.accounts.models import Secret, Team, User
from portal.compute.models import Allocation, Size
from portal.compute.states import ActivityKind
from portal.lib import clock, ids


class Image(models.Model):
    """An image that templates run, or that others build on: built from `images/<context>/`, or pulled by digest.

    `reference` is the tag that carries the context's content hash, or `repository@sha256:…`; it is empty while
    `tag`, by which the catalog names the image, is not resolved yet. `digest` is the engine's id of it once it is
    there. `working_until` is the lease of who builds it, `attempt` counts the builds: a late one changes nothing.
    One that a job named has that in `named` (see named_images.py).
    """

    name = models.SlugField(primary_key=True, max_length=60)
    context = models.CharField(max_length=100, blank=True)
    base = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="built_upon")
    reference = models.CharField(max_length=300, blank=True)
    tag = models.CharField(max_length=300, blank=True)
    named = models.CharField(max_length=300, blank=True, default="")
    resolved_at = models.DateTimeField(null=True)
    state = models.CharField(max_length=10, choices=ImageState.choices, default=ImageState.QUEUED)
    progress = models.FloatField(null=True)
    message = models.TextField(blank=True)
    log_tail = models.TextField(blank=True)
    digest = models.CharField(max_length=100, blank=True)
    size = models.BigIntegerField(null=True)
    ready_at = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(null=True)
    working_until = models.DateTimeField(null=True)
    attempt = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=~Q(state="ready") | ~Q(digest=""), name="image_ready_has_digest"),
            models.UniqueConstraint(fields=["named"], condition=~Q(named=""), name="image_named_once"),
        ]

    def __str__(self) -> str:
        return self.named or self.name

    @property
    def follows(self) -> bool:
        """Whether it is what a tag means at the time: looked up anew for each job that comes later."""
        return bool(self.named) and "@" not in self.named

    @property
    def topic(self) -> str:
        return f"image-{self.name}"


def linkable() -> list[str]:
    """What a launch link may set unless the catalog says otherwise (links.py)."""
    return ["size", "git", "ref", "parameters"]


class ImageCopy(models.Model):
    """What was put on the engine for an image, until it is cleaned up; older builds are copies too.

    `unwanted_at` is when its removal was asked for, `kept_because` why the engine would not remove it.
    """

    image = models.ForeignKey(Image, on_delete=models.CASCADE, related_name="copies")
    reference = models.CharField(max_length=300)
    digest = models.CharField(max_length=100)
    size = models.BigIntegerField()
    made_at = models.DateTimeField(default=clock.now)
    unwanted_at = models.DateTimeField(null=True)
    kept_because = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["image", "-made_at"]
        constraints = [models.UniqueConstraint(fields=["reference", "digest"], name="image_copy_once")]

    def __str__(self) -> str:
        return self.reference


class Template(models.Model):
    """What the catalog offers; kept by catalog.apply. An empty team list means nobody.

    One of kind `image` stands for all images that fit one of its `patterns`; each that a job named is a version of it.

    `idle` is when an idle workspace stops, `{stop_after_minutes, most_minutes}`, and where wanted is suspended before,
    `suspend_after_minutes` (see idle.Rule); null is never. `serves` is what its workspaces can be for their team.
    """

    slug = models.SlugField(primary_key=True, max_length=60)
    name = models.CharField(max_length=100)
    summary = models.CharField(max_length=300)
    kind = models.CharField(max_length=10, choices=TemplateKind.choices)
    patterns = ArrayField(models.CharField(max_length=300), default=list)
    ide = models.CharField(max_length=20, blank=True)
    icon_letter = models.CharField(max_length=1)
    icon_colour = models.CharField(max_length=20)
    teams = ArrayField(models.CharField(max_length=50))
    sizes = models.ManyToManyField(Size, related_name="templates")
    default_size = models.ForeignKey(Size, on_delete=models.PROTECT, related_name="+")
    link = ArrayField(models.CharField(max_length=80), default=linkable)
    idle = models.JSONField(null=True, default=None)
    serves = models.CharField(max_length=10, choices=Serves.choices, blank=True, default="")
    position = models.PositiveSmallIntegerField(default=0)
    retired = models.BooleanField(default=False)
    documentation = models.CharField(max_length=300, blank=True)
    notes = models.TextField(blank=True)

    class Meta:
        ordering = ["position", "slug"]
        constraints = [
            models.CheckConstraint(
                condition=(Q(kind="image") & ~Q(patterns=[])) | (~Q(kind="image") & Q(patterns=[])),
                name="template_of_images_has_patterns",
            )
        ]

    def __str__(self) -> str:
        return self.name


class TemplateVersion(models.Model):
    """One published version; never changed afterwards, so that what uses it stays runnable. One of a job has no port.

    A retired one is no longer in the catalog: nobody can take it, and who has it keeps it. So is from the beginning
    one that stands for an image which a job named: only who names it again has it.
    """

    template = models.ForeignKey(Template, on_delete=models.PROTECT, related_name="versions")
    version = models.CharField(max_length=40)
    summary = models.CharField(max_length=300, blank=True)
    image = models.ForeignKey(Image, on_delete=models.PROTECT, related_name="versions")
    command = ArrayField(models.CharField(max_length=500))
    environment = models.JSONField(default=dict)
    port = models.PositiveIntegerField(null=True)
    health_path = models.CharField(max_length=200, blank=True)
    door_header = models.CharField(max_length=200, blank=True)
    activity = models.CharField(max_length=20, choices=ActivityKind.choices, default=ActivityKind.WEB)
    parameters = models.JSONField(default=dict)
    published_at = models.DateTimeField(default=clock.now)
    changes = models.TextField(blank=True)
    retired = models.BooleanField(default=False)

    class Meta:
        ordering = ["-published_at"]
        constraints = [models.UniqueConstraint(fields=["template", "version"], name="template_version_once")]

    def __str__(self) -> str:
        return f"{self.template_id} {self.version}"


class Dataset(models.Model):
    """Files that many read and few keep; declared in the catalog. An empty team list means nobody."""

    name = models.SlugField(primary_key=True, max_length=60)
    summary = models.CharField(max_length=300)
    teams = ArrayField(models.CharField(max_length=50))
    kept_by = models.CharField(max_length=50, blank=True)
    retired = models.BooleanField(default=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Volume(models.Model):
    """Files that outlive containers: a person's home, a team's folder, a dataset, what one job works on, a model.

    `made_at`: it is on the engine and belongs to people. `used` is what it takes on disk, as last measured;
    `measured_at` is None when something has changed since.
    """

    id = models.CharField(primary_key=True, max_length=ids.LENGTH, default=ids.new_id, editable=False)
    kind = models.CharField(max_length=10, choices=VolumeKind.choices, default=VolumeKind.HOME)
    owner = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="volumes")
    team = models.ForeignKey(Team, null=True, on_delete=models.PROTECT, related_name="volumes")
    dataset = models.ForeignKey(Dataset, null=True, on_delete=models.PROTECT, related_name="volumes")
    engine_name = models.CharField(max_length=120, unique=True)
    created_at = models.DateTimeField(default=clock.now)
    made_at = models.DateTimeField(null=True)
    used = models.BigIntegerField(null=True)
    measured_at = models.DateTimeField(null=True)
    delete_requested_at = models.DateTimeField(null=True)
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["owner"], condition=Q(kind="home", delete_requested_at=None), name="volume_one_home"
            ),
            models.UniqueConstraint(fields=["team"], condition=Q(delete_requested_at=None), name="volume_one_per_team"),
            models.UniqueConstraint(
                fields=["dataset"], condition=Q(delete_requested_at=None), name="volume_one_per_dataset"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["home", "job", "model"], owner__isnull=False, team=None, dataset=None)
                | Q(kind="team", owner=None, team__isnull=False, dataset=None)
                | Q(kind="dataset", owner=None, team=None, dataset__isnull=False),
                name="volume_belongs_to_one",
            ),
        ]

    def __str__(self) -> str:
        return self.engine_name

    @property
    def topic(self) -> str:
        return f"volume-{self.pk}"


class Workspace(models.Model):
    """What a person comes back to. Its state is that of its latest allocation (states.state_of).

    `places` are keys of volumes of other apps that it reads (see files.access). `serves_team` says what it is for all
    jobs of its team, where it is anything; of each kind a team has one.
    `last_activity_at` is when somebody last used it through the door. The idle rule writes `idle_since` (what
    counted then is `counted`), `stops_at`, and `warned_at` while it warns; `auto_stop_minutes` null is the template's.
    """

    id = models.CharField(primary_key=True, max_length=ids.LENGTH, default=ids.new_id, editable=False)
    name = models.CharField(max_length=60)
    owner = models.ForeignKey(User, on_delete=models.PROTECT, related_name="workspaces")
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="workspaces")
    version = models.ForeignKey(TemplateVersion, on_delete=models.PROTECT, related_name="workspaces")
    size = models.ForeignKey(Size, on_delete=models.PROTECT)
    project = models.CharField(max_length=40, blank=True, default="")
    home = models.ForeignKey(Volume, on_delete=models.PROTECT, related_name="workspaces")
    parameters = models.JSONField(default=dict)
    environment = models.JSONField(default=dict)
    git_url = models.CharField(max_length=500, blank=True)
    git_ref = models.CharField(max_length=200, blank=True)
    datasets = models.ManyToManyField(Dataset, related_name="workspaces")
    places = ArrayField(models.CharField(max_length=100), default=list)
    secrets = models.ManyToManyField(Secret, related_name="workspaces")
    serves_team = models.CharField(max_length=10, choices=Serves.choices, blank=True, default="")
    allocation = models.OneToOneField(Allocation, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=clock.now)
    last_activity_at = models.DateTimeField(null=True)
    auto_stop_minutes = models.PositiveIntegerField(null=True)
    keep_until = models.DateTimeField(null=True)
    idle_since = models.DateTimeField(null=True)
    counted = models.CharField(max_length=10, choices=Counted.choices, blank=True, default="")
    stops_at = models.DateTimeField(null=True)
    warned_at = models.DateTimeField(null=True)
    warning_mailed = models.BooleanField(default=False)
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "name"], condition=Q(deleted_at=None), name="workspace_name_once_per_owner"
            ),
            models.UniqueConstraint(
                fields=["team", "serves_team"],
                condition=Q(deleted_at=None) & ~Q(serves_team=""),
                name="workspace_serves_team_once",
            ),
        ]
        indexes = [
            models.Index(fields=["owner", "-created_at"], name="workspace_of_owner"),
            models.Index(fields=["stops_at"], condition=Q(stops_at__isnull=False), name="workspace_idle_stop"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def topic(self) -> str:
        return f"workspace-{self.pk}"

    def get_absolute_url(self) -> str:
        return f"/workspaces/{self.pk}/"


class Share(models.Model):
    """A right on one run of a workspace that its owner gives to a person or a team, until a time or until it stops.

    What else must hold for it to count is in access.shares_in_force.
    """

    id = models.CharField(primary_key=True, max_length=ids.LENGTH, default=ids.new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="shares")
    allocation = models.ForeignKey(Allocation, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="+")
    team = models.ForeignKey(Team, null=True, on_delete=models.CASCADE, related_name="+")
    right = models.CharField(max_length=10, choices=ShareRight.choices)
    until = models.DateTimeField()
    created_by = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=clock.now)
    mailed = models.BooleanField(default=False)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(user=None, team__isnull=False) | Q(user__isnull=False, team=None),
                name="share_with_person_or_team",
            ),
            models.CheckConstraint(condition=Q(right__in=ShareRight.values), name="share_right_known"),
            models.CheckConstraint(condition=Q(until__gt=models.F("created_at")), name="share_ends_later"),
            models.UniqueConstraint(
                fields=["workspace", "user"], condition=Q(revoked_at=None), name="share_once_per_person"
            ),
            models.UniqueConstraint(
                fields=["workspace", "team"], condition=Q(revoked_at=None), name="share_once_per_team"
            ),
        ]
        indexes = [models.Index(fields=["until"], condition=Q(revoked_at=None), name="share_not_over")]

    def __str__(self) -> str:
        return f"{self.right} of {self.workspace_id}"


class Handover(models.Model):
    """An offer of a workspace to a colleague; it changes hands when the offer is accepted, not before."""

    id = models.CharField(primary_key=True, max_length=ids.LENGTH, default=ids.new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="handovers")
    to = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    offered_by = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    offered_at = models.DateTimeField(default=clock.now)
    mailed = models.BooleanField(default=False)
    answer = models.CharField(max_length=10, choices=Answer.choices, blank=True)
    answered_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-offered_at"]
        constraints = [
            models.UniqueConstraint(fields=["workspace"], condition=Q(answered_at=None), name="handover_one_open"),
            models.CheckConstraint(
                condition=Q(answer="", answered_at=None) | (~Q(answer="") & Q(answered_at__isnull=False)),
                name="handover_answered_with_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.workspace_id} to {self.to_id}"


class Configuration(models.Model):
    """What a person launches again and again: a Launch with a name, secrets in it by name only.

    The one marked `preferred` fills the launch page of its template.
    """

    id = models.CharField(primary_key=True, max_length=ids.LENGTH, default=ids.new_id, editable=False)
    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="configurations")
    template = models.ForeignKey(Template, on_delete=models.PROTECT, related_name="configurations")
    name = models.CharField(max_length=60)
    launch = models.JSONField()
    preferred = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=clock.now)
    used_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["-used_at"]
        constraints = [
            models.UniqueConstraint(fields=["owner", "name"], name="configuration_name_once_per_owner"),
            models.UniqueConstraint(
                fields=["owner", "template"], condition=Q(preferred=True), name="configuration_one_preferred"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Schedule(models.Model):
    """When a workspace starts and stops by the week, in `zone`. What was due until `handled_until` is done;
    `note` is why the last of it did not happen.
    """

    workspace = models.OneToOneField(Workspace, primary_key=True, on_delete=models.CASCADE, related_name="schedule")
    days = ArrayField(models.CharField(max_length=3))
    start = models.TimeField(null=True)
    stop = models.TimeField(null=True)
    zone = models.CharField(max_length=60)
    handled_until = models.DateTimeField()
    next_at = models.DateTimeField(null=True, db_index=True)
    note = models.CharField(max_length=300, blank=True, default="")
    noted_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{' '.join(self.days)} {self.start or ''}–{self.stop or ''} {self.zone}"

    @property
    def plan(self) -> Plan:
        return Plan(tuple(self.days), self.start, self.stop, self.zone)
