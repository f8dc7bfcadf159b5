"""The only way to a model: members of its team see and use it, strangers get 404."""

from django.db.models import QuerySet

from jobs.access import Right, rights_on
from jobs.model_models import Model, ModelVersion
from jobs.models import Job
from jobs.registry import COLLECTED
from portal.accounts import access
from portal.accounts.models import Role, User
from portal.lib.errors import Forbidden, Invalid, Next, NotFound


def visible_to(user: User) -> QuerySet[Model]:
    """Those of their teams; as staff everyone's."""
    rows = Model.objects.select_related("team", "created_by")
    return rows if user.is_staff else rows.filter(team__in=access.teams_of(user))


def model_for(user: User, name: str, team: str | None = None) -> Model:
    """Raises NotFound for strangers, and Invalid where several of their teams have one of that name."""
    rows = visible_to(user).filter(name=name)
    found = list((rows.filter(team__slug=team) if team else rows)[:2])
    if not found:
        raise NotFound("There is no such model, or it is not your team's.", next_step=_MODELS)
    if len(found) > 1:
        raise Invalid.field("team", f"Several teams have a model {name}: name the team.")
    return found[0]


def version_of(model: Model, number: int) -> ModelVersion:
    """Deleted ones too. Raises NotFound."""
    rows = ModelVersion.objects.select_related("model__team", "job__owner", "job__team", "created_by", "volume")
    found = rows.filter(model=model, number=number).first()
    if found is None:
        raise NotFound(f"There is no {model.name}:{number}.", next_step=Next("Its versions", model.get_absolute_url()))
    return found


def may_read(user: User, model: Model) -> bool:
    """Its files: its team alone."""
    return model.team_id in access.roles(user)


def require_read(user: User, model: Model) -> None:
    if not may_read(user, model):
        raise Forbidden(f"Only who is in {model.team.name} may read its models.", next_step=_MODELS)


def may_keep(user: User, job: Job) -> bool:
    """What the job left: who may read it, for the team they are in."""
    ready = job.over and job.artifacts_state in COLLECTED
    return ready and Right.READ in rights_on(user, job) and job.team_id in access.roles(user)


def kept_of(job: Job) -> list[ModelVersion]:
    """The versions that the files of the job belong to."""
    return list(job.kept_models.select_related("model__team").filter(deleted_at=None).order_by("pk"))


def may_delete(user: User, version: ModelVersion) -> bool:
    """Who kept it, and who leads the team."""
    role = access.roles(user).get(version.model.team_id)
    return role == Role.LEAD or (role is not None and version.created_by_id == user.pk)


def require_delete(user: User, version: ModelVersion) -> None:
    if not may_delete(user, version):
        who = version.created_by.get_full_name()
        raise Forbidden(f"Only {who} and who leads {version.model.team.name} may delete {version}.", next_step=_MODELS)


_MODELS = Next("Your models", "/jobs/models/")
