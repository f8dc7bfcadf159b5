"""What pages show of workspaces: plain objects with ready sentences, made without further queries."""

from dataclasses import dataclass, field

from django.urls import reverse

from environments import images
from environments.access import OWNER, Right
from environments.idle_cards import IdleCard, idle_card
from environments.models import Template, Workspace
from environments.states import UP, W, WorkspaceState, state_of
from environments.versions import Update, update_for
from portal.compute.models import Activity, Allocation, Size
from portal.compute.node_page import emptied
from portal.compute.states import Phase, Reason
from portal.lib.money import Money
from portal.lib.words import plain
from portal.quotas.models import gpu_words

STAGES = {
    Phase.ADMITTED: "Placed on a node",
    Phase.PULLING: "Waiting for the image",
    Phase.CREATING: "Creating the container",
    Phase.STARTING: "Container runs, waiting for {name} to answer",
}


@dataclass(frozen=True, slots=True)
class Action:
    """A button that posts. style: primary, plain or danger."""

    label: str
    url: str
    style: str = "plain"
    new_tab: bool = False


@dataclass(frozen=True, slots=True)
class WorkspaceCard:
    id: str
    name: str
    template_name: str
    template_detail: str
    icon_letter: str
    icon_colour: str
    state: WorkspaceState
    sentence: str
    detail: str
    size_text: str
    team_name: str
    owner_name: str
    per_hour: Money | None
    so_far: Money | None
    main_action: Action | None
    topic: str
    actions: list[Action] = field(default_factory=list)
    note: str = ""
    """What somebody should know who does not own it."""
    update: Update | None = None
    idle: IdleCard | None = None
    idle_actions: list[Action] = field(default_factory=list)
    with_gpus: bool = False
    drain: str = ""
    """That its node is emptied, and when it is stopped there."""


def size_text(size: Size) -> str:
    """2 cpu · 8 GB · 1 × A100."""
    gpus = gpu_words(size.gpu_class_id, size.gpu_count)
    return " · ".join(filter(None, [f"{plain(size.cpu)} cpu", f"{plain(size.memory_gib)} GB", gpus]))


def card(
    workspace: Workspace,
    prices: dict[str, Money],
    spent: dict[str, Money],
    *,
    rights: Right = OWNER,
    note: str = "",
    activity: Activity | None = None,
) -> WorkspaceCard:
    allocation, template = workspace.allocation, workspace.version.template
    state = state_of(allocation, workspace.deleted_at is not None)
    actions = [action for right, action in _actions(workspace, state) if right in rights]
    idle = idle_card(workspace, activity) if state in UP else None
    return WorkspaceCard(
        id=workspace.pk,
        name=workspace.name,
        template_name=template.name,
        template_detail=workspace.version.summary or workspace.version.version,
        icon_letter=template.icon_letter,
        icon_colour=template.icon_colour,
        state=state,
        sentence=sentence(workspace, state),
        detail=idle.short if idle else _detail(allocation, state),
        size_text=size_text(workspace.size),
        team_name=workspace.team.name,
        owner_name=workspace.owner.get_full_name(),
        per_hour=prices.get(workspace.size_id),
        so_far=spent.get(workspace.pk),
        main_action=actions[-1] if actions else None,
        actions=actions,
        topic=workspace.topic,
        note=note,
        update=update_for(workspace) if Right.OWN in rights else None,
        idle=idle,
        with_gpus=workspace.size.gpu_class_id is not None,
        drain=emptied(allocation),
        idle_actions=_idle_actions(workspace, state) if idle and idle.warning and Right.MANAGE in rights else [],
    )


def _idle_actions(workspace: Workspace, state: WorkspaceState) -> list[Action]:
    keep = "Keep it longer" if state == W.SUSPENDED else "Keep running"
    extend = Action(keep, reverse("workspace-extend", args=[workspace.pk]))
    return [extend, Action("Stop now", reverse("workspace-stop", args=[workspace.pk]))]


def sentence(workspace: Workspace, state: WorkspaceState) -> str:
    """What it does or waits for, in a few words."""
    allocation = workspace.allocation
    if state == W.STARTING and allocation is not None:
        phase = Phase(allocation.phase)
        if phase == Phase.PULLING and allocation.message:
            return allocation.message
        return STAGES[phase].format(name=workspace.version.template.name)
    if state == W.FAILED and allocation is not None:
        return Reason(allocation.reason).label
    if state == W.UNREACHABLE:
        return "No word from the container engine"
    if allocation is not None and state in UP and (state == W.SUSPENDED) != (allocation.frozen_at is not None):
        return "Suspending" if state == W.SUSPENDED else "Resuming"
    return state.label


def _detail(allocation: Allocation | None, state: WorkspaceState) -> str:
    if allocation is None:
        return ""
    match state:
        case W.QUEUED:
            return allocation.message
        case W.FAILED:
            return allocation.message
        case W.STOPPED if allocation.end_message or allocation.reason not in (Reason.STOPPED, Reason.CANCELLED):
            return allocation.message
        case W.UNREACHABLE:
            return "It may well be running; nothing is stopped and nothing is lost"
        case _:
            return ""


def _actions(workspace: Workspace, state: WorkspaceState) -> list[tuple[Right, Action]]:
    """All buttons of the state, the main one last, each with the right it takes."""

    def to(name: str) -> str:
        return reverse(f"workspace-{name}", args=[workspace.pk])

    stop = Action("Stop", to("stop"))
    match state:
        case W.QUEUED | W.STARTING:
            return [(Right.MANAGE, Action("Cancel", to("stop")))]
        case W.RUNNING:
            restart = Action("Restart", to("restart"))
            entry = Action("Open", to("open"), "primary", new_tab=True)
            suspend = [(Right.MANAGE, Action("Suspend", to("suspend")))] if _may_freeze(workspace) else []
            return [(Right.MANAGE, restart), (Right.MANAGE, stop), *suspend, (Right.ENTER, entry)]
        case W.SUSPENDED:
            entry, resume = Action("Open", to("open"), new_tab=True), Action("Resume", to("resume"), "primary")
            return [(Right.MANAGE, stop), (Right.ENTER, entry), (Right.ENTER, resume)]
        case W.UNREACHABLE:
            return [(Right.MANAGE, stop)]
        case W.STOPPED:
            return [(Right.OWN, Action("Start", to("start"), "primary"))]
        case W.FAILED:
            return [(Right.OWN, Action("Try again", to("start"), "primary"))]
        case _:
            return []


def _may_freeze(workspace: Workspace) -> bool:
    held = workspace.allocation
    return held is not None and held.node is not None and held.node.freezes


@dataclass(frozen=True, slots=True)
class TemplateCard:
    slug: str
    name: str
    summary: str
    icon_letter: str
    icon_colour: str
    version: str
    image_name: str
    image_state: str
    image_sentence: str
    image_percent: int | None
    topic: str
    digest_short: str
    from_price: Money | None
    documentation: str = ""
    notes: str = ""


@dataclass(frozen=True, slots=True)
class SizeCard:
    slug: str
    name: str
    spec: str
    per_hour: Money
    truth: str
    truth_state: str
    checked: bool


@dataclass(frozen=True, slots=True)
class QuickLaunch:
    """One click launches it again; `field` and `value` say what, to the relaunch view."""

    name: str
    detail: str
    icon_letter: str
    icon_colour: str
    per_hour: Money
    truth: str
    truth_state: str
    field: str
    value: str


@dataclass(frozen=True, slots=True)
class Filter:
    label: str
    url: str
    count: int
    current: bool


@dataclass(frozen=True, slots=True)
class Meter:
    label: str
    text: str
    used: float
    limit: float


@dataclass(frozen=True, slots=True)
class Row:
    label: str
    value: str | Money


@dataclass(frozen=True, slots=True)
class FileRow:
    path: str
    text: str
    icon: str
    url: str = ""
    full: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    name: str
    value: str
    label: str
    help: str
    checked: bool


def template_card(template: Template, prices: dict[str, Money]) -> TemplateCard:
    version = template.versions.all()[0]
    image = version.image
    costs = [prices[size.slug].amount for size in template.sizes.all() if size.slug in prices]
    currency = next(iter(prices.values())).currency if prices else ""
    return TemplateCard(
        slug=template.slug,
        name=template.name,
        summary=template.summary,
        icon_letter=template.icon_letter,
        icon_colour=template.icon_colour,
        version=version.version,
        image_name=image.name,
        image_state=image.state,
        image_sentence=images.in_short(image),
        image_percent=images.percent(image),
        topic=image.topic,
        digest_short=image.digest.removeprefix("sha256:")[:12],
        from_price=Money(min(costs), currency) if costs else None,
        documentation=template.documentation,
        notes=template.notes,
    )


def size_card(size: Size, price: Money, truth: str, truth_state: str, *, checked: bool) -> SizeCard:
    return SizeCard(size.slug, size.slug, size_text(size), price, truth, truth_state, checked)
