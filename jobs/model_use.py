"""Models as inputs of a job: which versions are meant, and where the job finds them."""

from collections.abc import Sequence
from typing import Any

from environments.mounts import mount
from jobs import model_names
from jobs.model_models import ModelVersion
from jobs.model_states import VersionState
from jobs.models import Job
from portal.accounts.models import Team, User
from portal.lib.errors import Invalid, Next

MODELS = "/data/models"
MOST = 20
_REFUSALS = {
    VersionState.WAITING: "{} is still being kept. Try again in a few seconds.",
    VersionState.FAILED: "{} could not be kept, so it cannot be used.",
    VersionState.DELETED: "{} was deleted.",
}


def named(team: Team, wanted: Sequence[str]) -> list[ModelVersion]:
    """Exactly these versions of models of the team that pays, locked: none is deleted until the job has them.

    Without a number it is the newest that is ready. Raises Invalid.
    """
    if len(wanted) > MOST:
        raise Invalid.field("models", f"At most {MOST} models.")
    chosen = {_one(team, reference).pk for reference in wanted}
    locked = ModelVersion.objects.select_for_update(of=("self",)).select_related("model").filter(pk__in=chosen)
    found = list(locked.order_by("pk"))  # in one order, so that no two submissions wait for each other
    for version in found:
        if not version.usable:
            raise Invalid.field("models", _REFUSALS[VersionState(version.state)].format(version))
    return found


def _one(team: Team, reference: str) -> ModelVersion:
    name, number = model_names.read(reference)
    rows = ModelVersion.objects.filter(model__team=team, model__name=name).order_by("-number")
    version = (rows.filter(number=number) if number else rows.filter(state=VersionState.READY)).first()
    if version is None:
        sentence = f"{team.name} has no model “{reference.strip()}”."
        raise Invalid.field("models", sentence, next_step=Next("See your models", "/jobs/models/"))
    return version


def mounts_of(job: Job) -> list[dict[str, Any]]:
    """Read-only; who has left the team starts without its models."""
    return [mount(version.volume, inside(version), read_only=True) for version in usable(job.owner, job)]


def usable(owner: User, job: Job) -> list[ModelVersion]:
    rows = job.used_models.select_related("model", "volume").filter(model__team__memberships__user=owner)
    return list(rows.order_by("model__name", "number"))


def inside(version: ModelVersion) -> str:
    return f"{MODELS}/{version.folder}"


def references(job: Job) -> list[str]:
    """As `named` reads them."""
    return sorted(str(version) for version in job.used_models.select_related("model"))
