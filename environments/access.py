"""The only way to a workspace, a template or an image: strangers get 404, team members without the right 403."""

from collections.abc import Iterable
from enum import Flag, auto

from django.db.models import Exists, F, OuterRef, Prefetch, Q, QuerySet

from environments import addresses, versions
from environments.models import Configuration, Dataset, Handover, Image, Share, Template, Workspace
from environments.states import ImageState, Serves, ShareRight, TemplateKind
from portal.accounts import access
from portal.accounts.models import Membership, Role, Team, User
from portal.compute.states import Desired
from portal.lib import clock, ids
from portal.lib.errors import Forbidden, Next, NotFound

ALL_TEAMS = "*"
JOINED = (
    "owner",
    "team",
    "size",
    "home",
    "version__template",
    "version__image",
    "allocation__node",
    "allocation__size",
    "schedule",
)


class Right(Flag):
    """What somebody may do with a workspace."""

    VIEW = auto()
    """See its page, log and metrics."""
    ENTER = auto()
    """Go inside while it runs, and with that read and change its owner's files."""
    VISIT = auto()
    """Come to the pages that it shows while it runs."""
    MANAGE = auto()
    """Stop, restart, rename, resize and delete it; end its shares."""
    GIVE = auto()
    """Offer it to somebody else."""
    OWN = auto()
    """Start it, share it, change what it runs, delete its files."""


NONE = Right(0)
INSIDE = Right.ENTER | Right.VISIT
OWNER = Right.VIEW | INSIDE | Right.MANAGE | Right.GIVE | Right.OWN
STEWARD = Right.VIEW | Right.MANAGE
ORPHANED = STEWARD | Right.GIVE
SHARED = {ShareRight.VIEW: Right.VIEW, ShareRight.USE: Right.VIEW | INSIDE}


def workspaces_of(user: User) -> QuerySet[Workspace]:
    """A person's own, deleted ones left out, with all that a row on a page needs."""
    return _joined().filter(owner=user, deleted_at=None)


def visible_to(user: User) -> QuerySet[Workspace]:
    """All a person may see: their own and, as lead their teams', as staff everyone's, deleted ones too; shared ones."""
    if user.is_staff:
        return _joined()
    shared = Q(pk__in=shares_in_force(user).values("workspace"))
    return _joined().filter(Q(owner=user) | Q(team__in=access.leads(user)) | shared)


def shares_in_force(to: User | OuterRef) -> QuerySet[Share]:
    """Shares that count now for a person: of the present run, in time, while giver and receiver share a team.

    Nobody gives on what they have lost: the owner must still be in the workspace's team.
    """
    receiver = OuterRef(to) if isinstance(to, OuterRef) else to
    together = Membership.objects.filter(user=receiver, team__memberships__user=OuterRef("workspace__owner"))
    owner_belongs = Membership.objects.filter(user=OuterRef("workspace__owner"), team=OuterRef("workspace__team"))
    return Share.objects.filter(
        Q(Exists(together), user=to) | Q(Exists(together.filter(team=OuterRef("team")))),
        Exists(owner_belongs),
        revoked_at=None,
        until__gt=clock.now(),
        allocation=F("workspace__allocation"),
        allocation__ended_at=None,
        allocation__desired__in=[Desired.RUN, Desired.SUSPEND],
        workspace__deleted_at=None,
        workspace__owner__is_active=True,
    ).exclude(workspace__owner=to)


def shared_with(user: User) -> QuerySet[Share]:
    """With all that a row on a page needs of the workspace."""
    return shares_in_force(user).select_related(*(f"workspace__{name}" for name in JOINED))


def shares_of(workspace: Workspace) -> QuerySet[Share]:
    """Those of its present run that are neither over nor taken back."""
    present = workspace.shares.filter(allocation=workspace.allocation_id, allocation__ended_at=None)
    return present.filter(revoked_at=None, until__gt=clock.now())


def share_rights(right: str) -> Right:
    """With paths, all workspaces are one origin to a browser, so that nobody may go into another's."""
    return SHARED[ShareRight.VIEW if addresses.path_mode() else ShareRight(right)]


def share_of(workspace: Workspace, share_id: str) -> Share:
    """Also one that has ended."""
    known = ids.PATTERN.fullmatch(share_id.upper())
    share = workspace.shares.filter(pk=share_id.upper()).first() if known else None
    if share is None:
        raise NotFound("There is no such share of this workspace.")
    return share


def colleagues_of(user: User) -> QuerySet[User]:
    """Everybody who shares a team with them."""
    teams = access.teams_of(user)
    rows = User.objects.filter(memberships__team__in=teams, is_active=True).exclude(pk=user.pk)
    return rows.distinct().order_by("name", "username")


def heirs_of(workspace: Workspace) -> QuerySet[User]:
    """Who could take it over: its team, without its owner."""
    members = User.objects.filter(memberships__team=workspace.team_id, is_active=True)
    return members.exclude(pk=workspace.owner_id).order_by("name", "username")


def offers_to(user: User) -> QuerySet[Handover]:
    rows = Handover.objects.filter(to=user, answered_at=None, workspace__deleted_at=None)
    return rows.select_related("offered_by", *(f"workspace__{name}" for name in JOINED))


def offer_to(user: User, workspace_id: str) -> Handover:
    known = ids.PATTERN.fullmatch(workspace_id.upper())
    offer = offers_to(user).filter(workspace=workspace_id.upper()).first() if known else None
    if offer is None:
        raise NotFound(
            "This workspace is not offered to you, or no longer.", next_step=Next("Your workspaces", "/workspaces/")
        )
    return offer


def _joined() -> QuerySet[Workspace]:
    return Workspace.objects.select_related(*JOINED)


def rights_on(user: User, workspace: Workspace) -> Right:
    """Owner: all. Lead of its team, and staff: see and manage, not look inside. Others: what is shared with them.
    All its team: come to the pages of what serves it.
    """
    if workspace.owner_id == user.pk:
        return OWNER
    held = _steward(workspace) if _leads(user, workspace) else NONE
    for right in shares_in_force(user).filter(workspace=workspace).values_list("right", flat=True):
        held |= share_rights(right)
    return held | Right.VISIT if _is_served(user, workspace) else held


def _is_served(user: User, workspace: Workspace) -> bool:
    """With paths, all workspaces are one origin to a browser: there nobody comes into another's."""
    if not workspace.serves_team or workspace.deleted_at is not None or addresses.path_mode():
        return False
    members = Membership.objects.filter(team=workspace.team_id, user__is_active=True)
    return set(members.filter(user__in=[user.pk, workspace.owner_id]).values_list("user", flat=True)) == {
        user.pk,
        workspace.owner_id,
    }


def serving(teams: Iterable[Team], kind: Serves) -> QuerySet[Workspace]:
    """What is that for all of a team, running or not, as long as its owner is in the team; at most one for each."""
    owner_belongs = Membership.objects.filter(user=OuterRef("owner"), team=OuterRef("team"))
    rows = _joined().filter(serves_team=kind, team__in=teams, deleted_at=None)
    return rows.filter(Exists(owner_belongs), owner__is_active=True)


def _leads(user: User, workspace: Workspace) -> bool:
    return user.is_staff or access.roles(user).get(workspace.team_id) == Role.LEAD


def _steward(workspace: Workspace) -> Right:
    """Where the owner has left, somebody must be able to hand it on."""
    owner = workspace.owner
    stays = owner.is_active and Membership.objects.filter(user=owner, team=workspace.team_id).exists()
    return STEWARD if stays else ORPHANED


def workspace_for(user: User, workspace_id: str, right: Right) -> Workspace:
    """Raises NotFound for strangers, Forbidden for team members who lack the right."""
    known = ids.PATTERN.fullmatch(workspace_id.upper())
    workspace = _joined().filter(pk=workspace_id.upper()).first() if known else None
    if workspace is None:
        raise _unknown()
    held = rights_on(user, workspace)
    if right in held:
        return workspace
    if not held and workspace.team_id not in access.roles(user):
        raise _unknown()
    raise Forbidden(
        f"{workspace.name} belongs to {workspace.owner.get_full_name()}.",
        next_step=Next("Your workspaces", "/workspaces/"),
    )


def _unknown() -> NotFound:
    return NotFound(
        "There is no such workspace, or it is not yours.", next_step=Next("Your workspaces", "/workspaces/")
    )


def offered_to(user: User) -> QuerySet[Template]:
    """What the catalog offers to the user's teams, images that jobs may name among it."""
    slugs = [ALL_TEAMS, *access.teams_of(user).values_list("slug", flat=True)]
    return Template.objects.filter(Q(teams__overlap=slugs), retired=False)


def templates_for(user: User) -> QuerySet[Template]:
    """What the user's teams may launch."""
    return (
        offered_to(user)
        .filter(versions__retired=False)
        .exclude(kind=TemplateKind.IMAGE)
        .select_related("default_size")
        .prefetch_related("sizes", Prefetch("versions", queryset=versions.offered()))
        .distinct()
    )


def patterns_for(user: User) -> list[str]:
    """What images may fit that jobs of the user's teams name; each only what is allowed to the team that pays it."""
    rows = offered_to(user).filter(kind=TemplateKind.IMAGE).values_list("patterns", flat=True)
    return list(dict.fromkeys(pattern for patterns in rows for pattern in patterns))


def template_for(user: User, slug: str, *kinds: str) -> Template:
    """One of any kind, or of the kinds named."""
    rows = templates_for(user).filter(slug=slug)
    template = (rows.filter(kind__in=kinds) if kinds else rows).first()
    if template is None:
        raise NotFound(
            f"There is no template “{slug[:60]}” for your teams.",
            next_step=Next("See the catalog", "/workspaces/new/"),
        )
    return template


def any_template(slug: str) -> Template:
    """For administrators: retired ones too."""
    rows = Template.objects.exclude(kind=TemplateKind.IMAGE).prefetch_related("sizes", "versions__image")
    template = rows.filter(pk=slug).first()
    if template is None:
        raise NotFound("There is no such template.", next_step=Next("See the catalog", "/catalog/"))
    return template


def datasets_for(user: User) -> QuerySet[Dataset]:
    """What the user's teams may read; whoever keeps one may read it too."""
    slugs = [ALL_TEAMS, *access.teams_of(user).values_list("slug", flat=True)]
    led = list(access.leads(user).values_list("slug", flat=True))
    rows = Dataset.objects.filter(retired=False)
    return rows if user.is_staff else rows.filter(Q(teams__overlap=slugs) | Q(kept_by__in=led))


def images_for(user: User) -> QuerySet[Image]:
    """Those of the catalog; administrators also see those that jobs named, which are here or on their way."""
    rows = Image.objects.prefetch_related("versions__template", "built_upon")
    tags = Q(state=ImageState.READY) & ~Q(named__contains="@")
    gone = Q(state__in=[ImageState.FAILED, ImageState.REMOVED]) | tags
    return rows.exclude(gone, named__gt="") if user.is_staff else rows.filter(named="")


def image_for(user: User, name: str) -> Image:
    """Any of the catalog; for administrators any at all."""
    rows = Image.objects.prefetch_related("versions__template", "built_upon").filter(pk=name)
    image = (rows if user.is_staff else rows.filter(named="")).first()
    if image is None:
        raise NotFound("There is no such image.", next_step=Next("See all images", "/images/"))
    return image


def configurations_of(user: User) -> QuerySet[Configuration]:
    """A person's own, those used last first; of templates that their teams may still launch."""
    return Configuration.objects.filter(owner=user, template__in=templates_for(user)).select_related("template")


def configuration_for(user: User, configuration_id: str) -> Configuration:
    """Nobody but its owner knows of it."""
    known = ids.PATTERN.fullmatch(configuration_id.upper())
    mine = Configuration.objects.filter(owner=user).select_related("template")
    found = mine.filter(pk=configuration_id.upper()).first() if known else None
    if found is None:
        raise NotFound(
            "There is no such configuration, or it is not yours.",
            next_step=Next("New workspace", "/workspaces/new/"),
        )
    return found
