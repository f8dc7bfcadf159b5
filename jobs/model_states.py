"""States of a version of a model, as data."""

from django.db import models


class VersionState(models.TextChoices):
    WAITING = "waiting", "Being kept"
    READY = "ready", "Ready"
    FAILED = "failed", "Could not be kept"
    DELETED = "deleted", "Deleted"
