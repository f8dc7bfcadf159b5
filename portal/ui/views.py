"""Home, the way to open a workspace, and the error pages."""

from datetime import datetime

from django.contrib.auth.decorators import login_required
from django.db.models import Count, Q, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.timezone import localtime
from django.views.decorators.http import require_POST, require_safe

from environments import access, again, cards, pages, sharing_pages
from environments.access import Right
from environments.files import pages as files
from jobs import pages as job_pages
from jobs.access import jobs_of
from jobs.states import UNFINISHED
from portal.accounts.access import signed_in
from portal.accounts.models import User
from portal.compute.models import GIB, Allocation, GpuDevice, Node
from portal.compute.states import PLACED
from portal.gateway.actions import open_workspace
from portal.lib import clock
from portal.lib.errors import Next
from portal.quotas import access as quotas
from portal.quotas.models import gpu_words

STOPPED_SHOWN = 5
JOBS_SHOWN = 10
ACTIVE_SHOWN = 50
UPDATES_SHOWN = 5


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
    topic, received = f"workspaces-{user.pk}", sharing_pages.received(user)
    jobs = job_pages.job_cards(list(jobs_of(user).filter(state__in=UNFINISHED)[:JOBS_SHOWN]))
    jobs_topic = f"jobs-{user.pk}"
    context = received | {
        "jobs": jobs,
        "jobs_topic": jobs_topic,
        "greeting": f"{_greeting(clock.now())}, {user.get_short_name()}",
        "hold_sentence": pages.hold_sentence(user, rows[: len(active)]),
        "quick": again.quick(user),
        "updates": [row for row in rows if row.update][:UPDATES_SHOWN],
        "active": rows[: len(active)],
        "stopped": rows[len(active) :],
        "active_count": active_count,
        "stopped_count": total - active_count,
        "decisions": quotas.inbox_of(user).count(),
        "capacity_title": "Capacity",
        "meters": [*_meters(), *files.meters(user)],
        "warnings": [*files.warnings(user), *_node_warnings(user)],
        "list_topic": topic,
        "live_topics": [
            topic,
            jobs_topic,
            *(row.topic for row in rows),
            *(job.topic for job in jobs),
            *sharing_pages.topics_of(received),
        ],
    }
    return render(request, "home.html", context)


def _node_warnings(user: User) -> list[str]:
    return list(Node.objects.exclude(warning="").values_list("warning", flat=True)) if user.is_staff else []


def _greeting(now: datetime) -> str:
    hour = localtime(now).hour
    return "Good morning" if 4 <= hour < 12 else "Good afternoon" if 12 <= hour < 18 else "Good evening"


def _meters() -> list[cards.Meter]:
    """Reserved against schedulable, over all nodes."""
    nodes = list(Node.objects.all())
    if not nodes:
        return []
    held = Allocation.objects.filter(phase__in=PLACED).aggregate(cpu=Sum("cpu"), memory=Sum("memory"))
    cpu, memory = float(sum(n.schedulable_cpu for n in nodes)), sum(n.schedulable_memory for n in nodes) / GIB
    cpu_held, memory_held = float(held["cpu"] or 0), float(held["memory"] or 0) / GIB
    return [
        cards.Meter("CPU", f"{cpu_held:g} of {cpu:g} cores reserved", cpu_held, cpu),
        cards.Meter("Memory", f"{memory_held:.1f} of {memory:.1f} GB reserved", memory_held, memory),
        *_gpu_meters(),
    ]


def _gpu_meters() -> list[cards.Meter]:
    in_use = Count("holds", filter=Q(holds__until=None))
    classes = GpuDevice.offered().order_by("gpu_class").values("gpu_class")
    return [
        cards.Meter(gpu_words(row["gpu_class"]), f"{row['held']} of {row['number']} in use", row["held"], row["number"])
        for row in classes.annotate(number=Count("pk", distinct=True), held=in_use)
    ]


@login_required
@require_POST
def open_(request: HttpRequest, workspace_id: str) -> HttpResponse:
    """Make a one-time entry ticket and go to the workspace's own origin with it."""
    user = signed_in(request.user)
    workspace = access.workspace_for(user, workspace_id, Right.VISIT)
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
