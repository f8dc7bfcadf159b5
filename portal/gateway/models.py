"""EntryTicket and WorkspaceSession: how a browser gets to a workspace's origin, and stays there."""

from django.contrib.sessions.models import Session
from django.db import models

from environments.models import Workspace
from portal.accounts.models import ApiToken, User
from portal.compute.models import Allocation
from portal.lib import clock, ids


class _FromPortal(models.Model):
    """What was opened from the portal goes with the sign-in, or the token, that opened it.

    The database does not hold `portal_session` to be there, so that entering can never make a sign-out fail.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    portal_session = models.ForeignKey(
        Session, null=True, on_delete=models.CASCADE, related_name="+", db_constraint=False
    )
    token = models.ForeignKey(ApiToken, null=True, on_delete=models.CASCADE, related_name="+")
    host = models.CharField(max_length=255)
    expires_at = models.DateTimeField()

    class Meta:
        abstract = True


class EntryTicket(_FromPortal):
    """One use, 60 seconds, bound to user, workspace and host; only its digest is kept."""

    digest = models.CharField(primary_key=True, max_length=64)
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"ticket for {self.workspace_id}"


class WorkspaceSession(_FromPortal):
    """A browser's right to one run of one workspace; sign-out and stop end it."""

    id = models.CharField(primary_key=True, max_length=ids.LENGTH, default=ids.new_id, editable=False)
    digest = models.CharField(max_length=64, unique=True)
    allocation = models.ForeignKey(Allocation, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return f"session on {self.workspace_id}"
