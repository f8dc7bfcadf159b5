"""Gathers what the pages of this app show, each with a fixed number of queries."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from environments import access, addresses, cards, timeline
from environments.cards import FileRow, Row, WorkspaceCard
from environments.models import Workspace
from environments.states import W
from portal.accounts.models import User
from portal.compute import logs, series
from portal.compute.admission import availability
from portal.compute.models import Allocation, Size, Transition
from portal.compute.states import Reason
from portal.lib import clock, words
from portal.lib.errors import Problem
from portal.usage import costs

LOG_LINES = 200
TAIL_LINES = 15
METRICS_WINDOW = timedelta(hours=1)


def workspace_cards(workspaces: Sequence[Workspace]) -> list[WorkspaceCard]:
    prices = costs.per_hour({workspace.size for workspace in workspaces})
    spent = costs.so_far(workspace.pk for workspace in workspaces)
    return [cards.card(workspace, prices, spent) for workspace in workspaces]


def workspace_card(user: User, workspace: Workspace) -> WorkspaceCard:
    may_use = access.right_on(user, workspace) == access.Right.USE
    prices, spent = costs.per_hour([workspace.size]), costs.so_far([workspace.pk])
    return cards.card(workspace, prices, spent, may_use=may_use)


def detail(user: User, workspace: Workspace) -> dict[str, Any]:
    """Context of a workspace's page and of each of its fragments."""
    card = workspace_card(user, workspace)
    allocation = workspace.allocation
    transitions = list(Transition.objects.filter(allocation=allocation)) if allocation else []
    return {
        "card": card,
        "stage": timeline.stage_of(workspace, transitions),
        "failure": _failure(workspace, card),
        "metrics": _metrics(allocation) if card.state == W.RUNNING else None,
        "details": _details(workspace, card),
        "files": _files(),
        "log": _log(workspace, transitions),
        "live_topics": [workspace.topic],
    }


def _failure(workspace: Workspace, card: WorkspaceCard) -> dict[str, Any] | None:
    allocation = workspace.allocation
    if allocation is None or card.state != W.FAILED:
        return None
    advice = {
        Reason.OOM: "Stop what needs the memory, or choose a larger size and start it again. Your files are there.",
        Reason.IMAGE_ERROR: "Open Images to see the build's log; an administrator can build it again.",
    }.get(
        Reason(allocation.reason),
        "Your files are there. Try again; if it fails the same way, show the log to an administrator.",
    )
    return {
        "sentence": allocation.message or Reason(allocation.reason).label,
        "advice": advice,
        "log_tail": [line.text for line in logs.last_lines(allocation, TAIL_LINES)],
        "action": None,
    }


def _metrics(allocation: Allocation | None) -> list[dict[str, Any]]:
    if allocation is None:
        return []
    points = series.since(allocation, clock.now() - METRICS_WINDOW)
    return [
        {
            "label": "CPU",
            "points": [(p.at, p.cpu) for p in points],
            "limit": float(allocation.cpu),
            "unit": "cores",
        },
        {
            "label": "Memory",
            "points": [(p.at, p.memory) for p in points],
            "limit": allocation.memory,
            "unit": "bytes",
        },
    ]


def _details(workspace: Workspace, card: WorkspaceCard) -> list[Row]:
    allocation = workspace.allocation
    rows: list[Row] = []
    if card.per_hour:
        rows.append(Row("Cost per hour", card.per_hour))
    if card.so_far:
        rows.append(Row("So far", card.so_far))
    rows.append(Row("Charged to", workspace.team.name))
    rows.append(Row("Belongs to", workspace.owner.get_full_name()))
    rows.append(Row("Size", f"{workspace.size_id} ({card.size_text})"))
    if allocation is not None and allocation.open and allocation.node is not None:
        isolated = "" if allocation.node.isolated else " (not isolated, for trying out)"
        rows.append(Row("Machine", f"{allocation.node.name}{isolated}"))
    rows.append(Row("Version", f"{workspace.version.template.name} {workspace.version.version}"))
    image = allocation.spec.get("image") if allocation else ""
    if image:
        rows.append(Row("Image", str(image).removeprefix("sha256:")[:12]))
    if card.state == W.RUNNING:
        rows.append(Row("Address", addresses.url(workspace.pk)))
    return rows


def _files() -> list[FileRow]:
    return [
        FileRow(
            "/home/berth",
            "your home: the same in all your workspaces, stays when one stops or is deleted",
            "home",
        )
    ]


def _log(workspace: Workspace, transitions: list[Transition]) -> dict[str, Any]:
    """Berth's own steps and the container's last lines, in the order they happened."""
    allocation = workspace.allocation
    if allocation is None:
        return {"lines": [], "last_seq": 0, "following": False, "note": ""}
    lines = logs.last_lines(allocation, LOG_LINES)
    own: list[dict[str, Any]] = [
        {"seq": 0, "at": step.at, "stream": "berth", "text": step.message}
        for step in transitions
        if step.message and (step.to_phase != "ended" or step.reason)
    ]
    written: list[dict[str, Any]] = [
        {"seq": x.seq, "at": logs.moment(x), "stream": x.stream, "text": x.text} for x in lines
    ]
    note = {"truncated": "Cut: its end could not be collected", "lost": "Lost"}.get(allocation.log_state, "")
    return {
        "lines": sorted(own + written, key=lambda line: line["at"])[-LOG_LINES:],
        "last_seq": lines[-1].seq if lines else 0,
        "following": allocation.open,
        "note": note,
    }


def sizes_for_launch(sizes: Sequence[Size], chosen: str) -> tuple[list[cards.SizeCard], bool]:
    """Size cards with price and truth; whether the chosen one could start now."""
    prices, truths = costs.per_hour(sizes), availability(list(sizes))
    shown = [
        cards.size_card(s, prices[s.slug], truths[s.slug].reason, truths[s.slug].state, checked=s.slug == chosen)
        for s in sizes
    ]
    return shown, truths[chosen].state == "now"


def hold_sentence(user: User, active: list[WorkspaceCard]) -> str:
    holding = [card for card in active if card.state != W.QUEUED]
    if not holding:
        return "Nothing of yours holds compute."
    rate = costs.current_rate(user.username)
    what = "1 workspace holds" if len(holding) == 1 else f"{len(holding)} workspaces hold"
    return f"{what} compute, {words.money(rate)} per hour."


def sentence_of(problem: Problem) -> str:
    return " ".join(sentence for sentences in problem.fields.values() for sentence in sentences) or problem.detail
