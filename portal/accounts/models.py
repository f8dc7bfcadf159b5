"""User, Team, Membership and ApiToken."""

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
    id = models.CharField(primary_key=True, max_length=ids.LENGTH, default=ids.new_id, editable=False)
    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    members = models.ManyToManyField(User, through="Membership", related_name="teams")

    class Meta:
        ordering = ["slug"]

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
