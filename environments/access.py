"""The only way to a workspace, a template or an image: strangers get 404, team members without the right 403."""

from enum import IntEnum

from django.db.models import Q, QuerySet

from environments.models import Image, Template, Workspace
from portal.accounts import access
from portal.accounts.models import Role, User
from portal.lib import ids
from portal.lib.errors import Forbidden, Next, NotFound

ALL_TEAMS = "*"


class Right(IntEnum):
    """Each includes the ones before it."""

    VIEW = 1
    MANAGE = 2
    USE = 3


def workspaces_of(user: User) -> QuerySet[Workspace]:
    """A person's own, deleted ones left out, with all that a row on a page needs."""
    return _joined().filter(owner=user, deleted_at=None)


def visible_to(user: User) -> QuerySet[Workspace]:
    """All a person may see, deleted ones too: their own, as lead their teams', as staff everyone's."""
    if user.is_staff:
        return _joined()
    return _joined().filter(Q(owner=user) | Q(team__in=access.leads(user)))


def _joined() -> QuerySet[Workspace]:
    return Workspace.objects.select_related(
        "owner",
        "team",
        "size",
        "home",
        "version__template",
        "version__image",
        "allocation__node",
        "allocation__size",
    )


def right_on(user: User, workspace: Workspace) -> Right | None:
    """Owner: all. Lead of its team, and staff: see and manage, but not look inside."""
    if workspace.owner_id == user.pk:
        return Right.USE
    role = access.roles(user).get(workspace.team_id)
    return Right.MANAGE if role == Role.LEAD or user.is_staff else None


def workspace_for(user: User, workspace_id: str, right: Right) -> Workspace:
    """Raises NotFound for strangers, Forbidden for team members who lack the right."""
    known = ids.PATTERN.fullmatch(workspace_id.upper())
    workspace = _joined().filter(pk=workspace_id.upper()).first() if known else None
    if workspace is None:
        raise _unknown()
    held = right_on(user, workspace)
    if held is not None and held >= right:
        return workspace
    if held is None and workspace.team_id not in access.roles(user):
        raise _unknown()
    raise Forbidden(
        f"{workspace.name} belongs to {workspace.owner.get_full_name()}.",
        next_step=Next("Your workspaces", "/workspaces/"),
    )


def _unknown() -> NotFound:
    return NotFound(
        "There is no such workspace, or it is not yours.", next_step=Next("Your workspaces", "/workspaces/")
    )


def templates_for(user: User) -> QuerySet[Template]:
    """What the user's teams may launch."""
    slugs = [ALL_TEAMS, *access.teams_of(user).values_list("slug", flat=True)]
    return (
        Template.objects.filter(Q(teams__overlap=slugs), retired=False, versions__isnull=False)
        .select_related("default_size")
        .prefetch_related("sizes", "versions__image")
        .distinct()
    )


def template_for(user: User, slug: str) -> Template:
    template = templates_for(user).filter(slug=slug).first()
    if template is None:
        raise NotFound(
            f"There is no template “{slug[:60]}” for your teams.",
            next_step=Next("See the catalog", "/workspaces/new/"),
        )
    return template


def image_named(name: str) -> Image:
    image = Image.objects.prefetch_related("versions__template").filter(pk=name).first()
    if image is None:
        raise NotFound("There is no such image.", next_step=Next("See all images", "/images/"))
    return image
