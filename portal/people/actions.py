"""What changes a person together with all that they have running."""

from django.db import transaction
from django.db.models import QuerySet

from environments import actions as workspaces
from environments.models import Workspace
from jobs import actions as jobs
from jobs.models import Job
from jobs.states import UNFINISHED
from portal.accounts import people
from portal.accounts.models import User
from portal.compute.states import Phase


@transaction.atomic
def suspend(user: User, *, actor: str) -> None:
    """They are signed out everywhere and cannot sign in; tokens and keys open nothing; what they run is ended.

    Files, records and cost stay. Raises Conflict for oneself. Doing it twice is no error.
    """
    people.deactivate(user, actor=actor)
    for workspace in running(user):
        workspaces.stop(workspace, actor=actor, message=f"Stopped because {actor} suspended its owner.")
    for job in unfinished(user):
        jobs.cancel(job, actor=actor)


def running(user: User) -> QuerySet[Workspace]:
    """Theirs that hold compute or wait for it."""
    mine = Workspace.objects.filter(owner=user, deleted_at=None, allocation__isnull=False)
    return mine.exclude(allocation__phase=Phase.ENDED)


def unfinished(user: User) -> QuerySet[Job]:
    return Job.objects.filter(owner=user, state__in=UNFINISHED)
