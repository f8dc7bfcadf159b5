"""What pages show of workspaces: plain objects with ready sentences, made without further queries."""

from dataclasses import dataclass, field
from decimal import Decimal

from django.urls import reverse

from environments import images
from environments.models import Template, Workspace
from environments.states import W, WorkspaceState, state_of
from portal.compute.models import Allocation, Size
from portal.compute.states import Phase, Reason
from portal.lib.money import Money
from portal.lib.words import plain

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


def size_text(cpu: Decimal, memory_gib: Decimal) -> str:
    return f"{plain(cpu)} cpu · {plain(memory_gib)} GB"


def card(
    workspace: Workspace, prices: dict[str, Money], spent: dict[str, Money], *, may_use: bool = True
) -> WorkspaceCard:
    allocation, template = workspace.allocation, workspace.version.template
    state = state_of(allocation, workspace.deleted_at is not None)
    actions = _actions(workspace, state, may_use)
    return WorkspaceCard(
        id=workspace.pk,
        name=workspace.name,
        template_name=template.name,
        template_detail=workspace.version.summary or workspace.version.version,
        icon_letter=template.icon_letter,
        icon_colour=template.icon_colour,
        state=state,
        sentence=sentence(workspace, state),
        detail=_detail(allocation, state),
        size_text=size_text(workspace.size.cpu, workspace.size.memory_gib),
        team_name=workspace.team.name,
        owner_name=workspace.owner.get_full_name(),
        per_hour=prices.get(workspace.size_id),
        so_far=spent.get(workspace.pk),
        main_action=actions[-1] if actions else None,
        actions=actions,
        topic=workspace.topic,
    )


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
    return state.label


def _detail(allocation: Allocation | None, state: WorkspaceState) -> str:
    if allocation is None:
        return ""
    match state:
        case W.QUEUED:
            return allocation.message
        case W.FAILED:
            return allocation.message
        case W.STOPPED if allocation.reason not in (Reason.STOPPED, Reason.CANCELLED):
            return allocation.message
        case W.UNREACHABLE:
            return "It may well be running; nothing is stopped and nothing is lost"
        case _:
            return ""


def _actions(workspace: Workspace, state: WorkspaceState, may_use: bool) -> list[Action]:
    """All buttons of the state, the main one last."""

    def to(name: str) -> str:
        return reverse(f"workspace-{name}", args=[workspace.pk])

    stop = Action("Stop", to("stop"))
    match state:
        case W.QUEUED | W.STARTING:
            return [Action("Cancel", to("stop"))]
        case W.RUNNING:
            restart = Action("Restart", to("restart"))
            entry = Action("Open", to("open"), "primary", new_tab=True)
            return [restart, stop, entry] if may_use else [restart, stop]
        case W.UNREACHABLE:
            return [stop]
        case W.STOPPED:
            return [Action("Start", to("start"), "primary")]
        case W.FAILED:
            return [Action("Try again", to("start"), "primary")]
        case _:
            return []


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
    template_name: str
    icon_letter: str
    icon_colour: str
    size_name: str
    per_hour: Money
    truth: str
    truth_state: str
    template: str
    size: str
    team: str


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
        image_sentence=images.sentence(image),
        image_percent=images.percent(image),
        topic=image.topic,
        digest_short=image.digest.removeprefix("sha256:")[:12],
        from_price=Money(min(costs), currency) if costs else None,
    )


def size_card(size: Size, price: Money, truth: str, truth_state: str, *, checked: bool) -> SizeCard:
    return SizeCard(size.slug, size.slug, size_text(size.cpu, size.memory_gib), price, truth, truth_state, checked)
