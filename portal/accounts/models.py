"""User, Team, Membership, HeldBack, ApiToken, PublicKey, Secret and SavedView."""

from typing import ClassVar, Self

from django.contrib.auth.models import AbstractUser, UserManager
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from portal.lib import clock, ids


class User(AbstractUser):
    """Keyed by (issuer, subject), never by e-mail; `local` is a password kept here."""

    id = models.CharField(primary_key=True, max_length=ids.LENGTH, default=ids.new_id, editable=False)
    first_name = None  # type: ignore[assignment]
    last_name = None  # type: ignore[assignment]
    name = models.CharField(max_length=150, blank=True)
    issuer = models.CharField(max_length=200, default="local")
    subject = models.CharField(max_length=200)

    objects: ClassVar[UserManager[Self]] = UserManager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["issuer", "subject"], name="user_issuer_subject")]

    def get_full_name(self) -> str:
        return self.name or self.username

    def get_short_name(self) -> str:
        return self.get_full_name().split()[0]


class Team(models.Model):
    """Where teams wait for room, they get it in proportion to their `share`."""

    id = models.CharField(primary_key=True, max_length=ids.LENGTH, default=ids.new_id, editable=False)
    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    share = models.PositiveSmallIntegerField(default=1)
    members = models.ManyToManyField(User, through="Membership", related_name="teams")

    class Meta:
        ordering = ["slug"]
        constraints = [models.CheckConstraint(condition=Q(share__gt=0), name="team_has_a_share")]

    def __str__(self) -> str:
        return self.slug


class Role(models.TextChoices):
    MEMBER = "member", "Member"
    LEAD = "lead", "Lead"


class Membership(models.Model):
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.MEMBER)

    class Meta:
        ordering = ["team__slug"]
        constraints = [models.UniqueConstraint(fields=["user", "team"], name="membership_once")]

    def __str__(self) -> str:
        return f"{self.user_id} {self.role} of {self.team_id}"


class HeldBack(models.Model):
    """Why nothing new is placed now of a team, of one person in it, or for one of its projects."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="held_back")
    user = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="+")
    project = models.CharField(max_length=40, blank=True, default="")
    why = models.CharField(max_length=300)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["team", "user", "project"], nulls_distinct=False, name="held_back_once")
        ]

    def __str__(self) -> str:
        return self.why


class ApiToken(models.Model):
    """A personal token; only its digest is kept, and `prefix` to recognise it by."""

    id = models.CharField(primary_key=True, max_length=ids.LENGTH, default=ids.new_id, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=100)
    digest = models.CharField(max_length=64, unique=True)
    prefix = models.CharField(max_length=12)
    scopes = ArrayField(models.CharField(max_length=30))
    created_at = models.DateTimeField(default=clock.now)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(condition=Q(expires_at__gt=models.F("created_at")), name="token_expires_later")
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class PublicKey(models.Model):
    """A key that opens the SSH door for its owner; `fingerprint` is OpenSSH's, of one person only."""

    id = models.CharField(primary_key=True, max_length=ids.LENGTH, default=ids.new_id, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="public_keys")
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=60)
    fingerprint = models.CharField(max_length=100, unique=True)
    created_at = models.DateTimeField(default=clock.now)
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.name} ({self.fingerprint})"


class Sealed(models.Model):
    """A row with something that only the key `key_id` opens (see vault.py), bound to what `bound_to` says."""

    key_id = models.CharField(max_length=40)
    sealed = models.BinaryField()

    class Meta:
        abstract = True

    @property
    def bound_to(self) -> str:
        """What the sealed value belongs to: copied to another row, it cannot be opened."""
        raise NotImplementedError


class SecretKind(models.TextChoices):
    VALUE = "value", "Value"
    SSH_KEY = "ssh-key", "SSH key"


class Secret(Sealed):
    """What only containers may read, of one person or one team."""

    id = models.CharField(primary_key=True, max_length=ids.LENGTH, default=ids.new_id, editable=False)
    owner = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="secrets")
    team = models.ForeignKey(Team, null=True, on_delete=models.CASCADE, related_name="secrets")
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=10, choices=SecretKind.choices)
    variable = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=clock.now)
    changed_at = models.DateTimeField(default=clock.now)
    changed_by = models.CharField(max_length=150)

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(owner=None, team__isnull=False) | Q(owner__isnull=False, team=None),
                name="secret_of_person_or_team",
            ),
            models.CheckConstraint(condition=~Q(kind="ssh-key", variable=True), name="secret_key_is_no_variable"),
            models.UniqueConstraint(fields=["owner", "name"], name="secret_once_per_owner"),
            models.UniqueConstraint(fields=["team", "name"], name="secret_once_per_team"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def bound_to(self) -> str:
        whose = f"user-{self.owner_id}" if self.owner_id else f"team-{self.team_id}"
        return "\0".join(["secret", self.pk, whose, self.name, self.kind])


class SavedView(models.Model):
    """A name that somebody gave to a query string of a page, such as the list of jobs; `page` names its route."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="saved_views")
    page = models.CharField(max_length=40)
    name = models.CharField(max_length=40)
    query = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["user", "page", "name"], name="saved_view_name_once")]

    def __str__(self) -> str:
        return self.name
