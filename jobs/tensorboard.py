"""TensorBoard on what a job writes: a workspace that reads the job's files, one for each person and job."""

from django.db import transaction

from environments import access as environments
from environments import actions, checks
from environments.launch import Launch
from environments.models import Workspace
from jobs import places
from jobs.models import Job
from portal.accounts.models import User

TEMPLATE = "tensorboard"
"""The template of the catalog that shows the event files below its parameter `folder`."""


def offered(user: User) -> bool:
    return environments.templates_for(user).filter(slug=TEMPLATE, kind="workspace").exists()


@transaction.atomic
def start(user: User, job: Job, *, actor: str) -> Workspace:
    """The one that this person has of this job, started; made first where there is none.

    Raises Invalid where the catalog or the job's files do not allow it, Conflict while it stops.
    """
    User.objects.select_for_update().get(pk=user.pk)  # a second click finds what the first has made
    key = places.key_of(job)
    mine = environments.workspaces_of(user).filter(version__template=TEMPLATE, places=[key]).first()
    if mine:
        return actions.start(mine, actor=actor)
    name = checks.name_near(user, f"TensorBoard of {job.name}"[: checks.NAME_LENGTH].rstrip())
    launch = Launch(template=TEMPLATE, name=name, parameters={"folder": f"/data/{key}"}, volumes=[key])
    return actions.create(user, launch, actor=actor)
