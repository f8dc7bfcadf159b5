"""Gathers what the pages of this app show, each with a fixed number of queries."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.http import QueryDict
from django.urls import reverse

from environments import access, addresses, cards, connecting, scheduling, sharing_pages, timeline
from environments.cards import Row, WorkspaceCard
from environments.chosen import chosen_by_workspace
from environments.files import pages as files
from environments.forms import KeepForm
from environments.idle import rule_of, template_rule
from environments.models import Workspace
from environments.schedules import upcoming
from environments.states import UP, W
from environments.versions import with_newer
from portal.accounts.models import User
from portal.compute import log_page, log_reading, queue, series
from portal.compute.admission import availability
from portal.compute.log_page import Addresses, LogView
from portal.compute.models import Activity, Allocation, Size, Transition
from portal.compute.states import Rank, Reason
from portal.lib import clock, words
from portal.usage import costs

TAIL_LINES = 15
METRICS_WINDOW = timedelta(hours=1)


def workspace_cards(workspaces: Sequence[Workspace]) -> list[WorkspaceCard]:
    prices = costs.per_hour({workspace.size for workspace in workspaces})
    spent = costs.so_far(workspace.pk for workspace in workspaces)
    with_newer(workspaces)
    queue.explain(one.allocation for one in workspaces if one.allocation)
    return [cards.card(workspace, prices, spent) for workspace in workspaces]


def workspace_card(user: User, workspace: Workspace, activity: Activity | None = None) -> WorkspaceCard:
    rights, note = access.rights_on(user, workspace), sharing_pages.note(user, workspace)
    prices, spent = costs.per_hour([workspace.size]), costs.so_far([workspace.pk])
    queue.explain([workspace.allocation] if workspace.allocation else [])
    return cards.card(workspace, prices, spent, rights=rights, note=note, activity=activity)


def detail(user: User, workspace: Workspace) -> dict[str, Any]:
    """Context of a workspace's page and of each of its fragments."""
    allocation = workspace.allocation
    activity = Activity.objects.filter(allocation=allocation).first() if allocation else None
    card = workspace_card(user, workspace, activity)
    transitions = list(Transition.objects.filter(allocation=allocation)) if allocation else []
    return {
        "card": card,
        "stage": timeline.stage_of(workspace, transitions),
        "failure": _failure(workspace, card),
        "metrics": use_of(allocation) if card.state in UP else None,
        "details": _details(workspace, card),
        "files": files.of_workspace(user, workspace),
        "connection": connecting.connection_to(workspace) if _may_connect(user, workspace, card) else None,
        "secrets": chosen_by_workspace([workspace])[workspace.pk].secrets,
        "may_choose": workspace.owner_id == user.pk and workspace.deleted_at is None,
        "keep_form": _keep_form(user, workspace),
        "schedule": _schedule(workspace),
        "live_topics": [workspace.topic],
    }


def _may_connect(user: User, workspace: Workspace, card: WorkspaceCard) -> bool:
    return card.state == W.RUNNING and access.Right.ENTER in access.rights_on(user, workspace)


def _failure(workspace: Workspace, card: WorkspaceCard) -> dict[str, Any] | None:
    allocation = workspace.allocation
    if allocation is None or card.state != W.FAILED:
        return None
    advice = {
        Reason.OOM: "Stop what needs the memory, or choose a larger size and start it again. Your files are there.",
        Reason.IMAGE_ERROR: "Try again once the cause is gone; its image is then fetched anew. Images shows its log.",
    }.get(
        Reason(allocation.reason),
        "Your files are there. Try again; if it fails the same way, show the log to an administrator.",
    )
    return {
        "sentence": allocation.message or Reason(allocation.reason).label,
        "advice": advice,
        "log_tail": log_reading.last_texts(allocation, TAIL_LINES),
        "action": None,
    }


def use_of(allocation: Allocation | None) -> list[dict[str, Any]]:
    """CPU, memory and GPUs where they are measured, as charts; of the last hour, or of the last that it had."""
    if allocation is None:
        return []
    points = series.since(allocation, (allocation.ended_at or clock.now()) - METRICS_WINDOW)
    shown: list[tuple[str, list[Any], float, str]] = [
        ("CPU", [(p.at, p.cpu) for p in points], float(allocation.cpu), "cores"),
        ("Memory", [(p.at, p.memory) for p in points], allocation.memory, "bytes"),
        ("GPU", [(p.at, p.gpu) for p in points if p.gpu is not None], allocation.gpu_count, "devices"),
    ]
    names = ("label", "points", "limit", "unit")
    return [dict(zip(names, one, strict=True)) for one in shown if one[0] != "GPU" or one[1]]


def _details(workspace: Workspace, card: WorkspaceCard) -> list[Row]:
    allocation = workspace.allocation
    rows: list[Row] = []
    if card.per_hour:
        rows.append(Row("Cost per hour", card.per_hour))
    if card.so_far:
        rows.append(Row("So far", card.so_far))
    rows.append(Row("Charged to", workspace.team.name))
    if workspace.project:
        rows.append(Row("Project", workspace.project))
    rows.append(Row("Belongs to", workspace.owner.get_full_name()))
    rows.append(Row("Size", f"{workspace.size_id} ({card.size_text})"))
    if allocation is not None and allocation.open and allocation.node is not None:
        isolated = "" if allocation.node.isolated else " (not isolated, for trying out)"
        rows.append(Row("Machine", f"{allocation.node.name}{isolated}"))
    rows.append(Row("Version", f"{workspace.version.template.name} {workspace.version.version}"))
    if workspace.git_url:
        rows.append(Row("Code", f"{workspace.git_url} {workspace.git_ref}".strip()))
    image = allocation.spec.get("image") if allocation else ""
    if image:
        rows.append(Row("Image", str(image).removeprefix("sha256:")[:12]))
    if card.state == W.RUNNING:
        rows.append(Row("Address", addresses.url(workspace.pk)))
    return rows


def _schedule(workspace: Workspace) -> dict[str, Any]:
    """`next` are sentences; `note` is why the last one did not happen."""
    row = getattr(workspace, "schedule", None)
    if row is None:
        return {}
    return {
        "next": [scheduling.said(event, row.zone) for event in upcoming(row.plan, clock.now())],
        "zone": row.zone,
        "note": row.note,
    }


def _keep_form(user: User, workspace: Workspace) -> KeepForm | None:
    allowed = access.Right.MANAGE in access.rights_on(user, workspace)
    return KeepForm(rule=template_rule(workspace.version.template)) if allowed and rule_of(workspace).after else None


def log(workspace: Workspace, query: QueryDict) -> LogView:
    """Berth's own steps and the container's lines, in the order they happened."""
    steps = Transition.objects.filter(allocation=workspace.allocation) if workspace.allocation else []
    own = [(step.at, step.message) for step in steps if step.message and (step.to_phase != "ended" or step.reason)]
    addresses = Addresses(
        fragment=reverse("workspace-fragment", args=[workspace.pk, "log"]),
        text=reverse("workspace-log", args=[workspace.pk]),
        live=reverse("live-log", args=[workspace.pk]),
        topic=workspace.topic,
    )
    return log_page.view(workspace.allocation, query, addresses, own)


def sizes_for_launch(
    sizes: Sequence[Size],
    chosen: str,
    user: User,
    *,
    team: str | None,
    project: str,
    rank: Rank = Rank.INTERACTIVE,
) -> list[cards.SizeCard]:
    """Size cards with price and truth."""
    prices, truths = costs.per_hour(sizes), availability(list(sizes), user, team, rank, project.strip().lower())
    return [
        cards.size_card(s, prices[s.slug], truths[s.slug].reason, truths[s.slug].state, checked=s.slug == chosen)
        for s in sizes
    ]


def hold_sentence(user: User, active: list[WorkspaceCard]) -> str:
    holding = [card for card in active if card.state != W.QUEUED]
    if not holding:
        return "Nothing of yours holds compute."
    rate = costs.current_rate(user.username)
    what = "1 workspace holds" if len(holding) == 1 else f"{len(holding)} workspaces hold"
    return f"{what} compute, {words.money(rate)} per hour."
