"""Home, the way to open a workspace, and the error pages."""

from datetime import datetime
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from environments import access, cards, pages
from environments.access import Right
from environments.models import Template, Workspace
from portal.accounts.access import signed_in
from portal.accounts.models import User
from portal.compute import admission
from portal.compute.models import GIB, Node
from portal.gateway.actions import open_workspace
from portal.lib import clock
from portal.lib.errors import Next
from portal.usage import costs

STOPPED_SHOWN = 5
ACTIVE_SHOWN = 50
QUICK_SHOWN = 3


@login_required
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """What I have, what it costs, what I can start."""
    user = signed_in(request.user)
    mine = access.workspaces_of(user)
    active = list(mine.filter(allocation__ended_at=None, allocation__isnull=False)[:ACTIVE_SHOWN])
    stopped = list(mine.exclude(allocation__ended_at=None, allocation__isnull=False)[:STOPPED_SHOWN])
    rows = pages.workspace_cards([*active, *stopped])
    total = mine.count()
    active_count = mine.filter(allocation__ended_at=None, allocation__isnull=False).count()
    topic = f"workspaces-{user.pk}"
    context = {
        "greeting": f"{_greeting(clock.now())}, {user.get_short_name()}",
        "hold_sentence": pages.hold_sentence(user, rows[: len(active)]),
        "quick": _quick(user),
        "active": rows[: len(active)],
        "stopped": rows[len(active) :],
        "active_count": active_count,
        "stopped_count": total - active_count,
        "capacity_title": "Capacity",
        "meters": _meters(),
        "warnings": list(Node.objects.exclude(warning="").values_list("warning", flat=True)) if user.is_staff else [],
        "list_topic": topic,
        "live_topics": [topic, *(row.topic for row in rows)],
    }
    return render(request, "home.html", context)


def _greeting(now: datetime) -> str:
    hour = now.astimezone().hour
    return "Good morning" if 4 <= hour < 12 else "Good afternoon" if 12 <= hour < 18 else "Good evening"


def _quick(user: User) -> list[cards.QuickLaunch]:
    """The latest configurations first, then templates never used."""
    templates = {t.slug: t for t in access.templates_for(user).filter(kind="workspace")}
    recent = access.workspaces_of(user)[:20]
    used = {w.version.template_id: w for w in reversed(list(recent)) if w.version.template_id in templates}
    sizes = {slug: used[slug].size if slug in used else t.default_size for slug, t in templates.items()}
    prices = costs.per_hour(sizes.values())
    truths = admission.availability(list(sizes.values()))
    ordered = sorted(templates.values(), key=lambda t: (t.slug not in used, t.position))
    return [
        _quick_card(t, used.get(t.slug), prices[sizes[t.slug].slug], truths[sizes[t.slug].slug], sizes[t.slug].slug)
        for t in ordered[:QUICK_SHOWN]
    ]


def _quick_card(
    template: Template, used: Workspace | None, price: Any, truth: admission.Availability, size: str
) -> cards.QuickLaunch:
    words = {"now": "starts now", "queue": "waits for room", "never": "does not fit this machine"}
    return cards.QuickLaunch(
        template_name=template.name,
        icon_letter=template.icon_letter,
        icon_colour=template.icon_colour,
        size_name=size,
        per_hour=price,
        truth=words[truth.state],
        truth_state=truth.state,
        template=template.slug,
        size=size,
        team=used.team.slug if used else "",
    )


def _meters() -> list[cards.Meter]:
    """Reserved against schedulable, over all nodes."""
    nodes = list(Node.objects.all())
    if not nodes:
        return []
    free = admission.rooms()
    cpu, memory = float(sum(n.schedulable_cpu for n in nodes)), sum(n.schedulable_memory for n in nodes) / GIB
    cpu_held = cpu - float(sum(room.cpu for room in free))
    memory_held = memory - sum(room.memory for room in free) / GIB
    return [
        cards.Meter("CPU", f"{cpu_held:g} of {cpu:g} cores reserved", cpu_held, cpu),
        cards.Meter("Memory", f"{memory_held:.1f} of {memory:.1f} GB reserved", memory_held, memory),
    ]


@login_required
@require_POST
def open_(request: HttpRequest, workspace_id: str) -> HttpResponse:
    """Make a one-time entry ticket and go to the workspace's own origin with it."""
    user = signed_in(request.user)
    workspace = access.workspace_for(user, workspace_id, Right.USE)
    return redirect(open_workspace(workspace, user, request.session.session_key).url)


def _page(request: HttpRequest, status: int) -> HttpResponse:
    context = {"message": "", "next": Next("Home", "/")}
    return render(request, f"errors/{status}.html", context, status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(request, 400)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(request, 403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(request, 404)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    context = {
        "message": "This page was open too long. Go back, reload it and try again.",
        "next": Next("Home", "/"),
    }
    return render(request, "errors/403.html", context, status=403)
