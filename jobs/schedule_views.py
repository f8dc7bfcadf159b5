"""Pages of schedules: the list, one with its next runs and its form, pause, resume, delete."""

from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from environments import dataset_versions
from jobs import cron, pages, plan_access, scheduling, submit_page
from jobs.access import Right, rights_on
from jobs.models import Job
from jobs.plan_forms import ScheduleForm
from jobs.plan_models import Schedule
from jobs.plan_views import PAGE_SIZE
from jobs.stored import from_json
from jobs.submission import written
from portal.accounts.access import signed_in
from portal.accounts.models import User
from portal.lib import clock
from portal.lib.errors import Invalid
from portal.lib.refusals import sentence_of

LATEST = 10


@login_required
@require_safe
def list_schedules(request: HttpRequest) -> HttpResponse:
    user = signed_in(request.user)
    page = Paginator(plan_access.schedules_visible_to(user), PAGE_SIZE).get_page(request.GET.get("page"))
    topic = f"schedules-{user.pk}"
    context = {"schedules": page.object_list, "page": page, "list_topic": topic, "live_topics": [topic]}
    return render(request, "jobs/schedules.html", context)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def new_schedule(request: HttpRequest) -> HttpResponse:
    user = signed_in(request.user)
    first = submit_page.first_values(user, request.GET)
    if request.method != "POST":
        form = ScheduleForm(**submit_page.choices(user, first))
        return render(request, "jobs/schedule_form.html", {"form": form} | submit_page.size_context(user, first))
    form = ScheduleForm(request.POST, **submit_page.choices(user, first))
    if form.is_valid():
        try:
            made = scheduling.create(user, form.schedule, actor=user.username)
            return redirect("schedule", made.pk)
        except Invalid as problem:
            form.refuse(problem)
    return render(
        request, "jobs/schedule_form.html", {"form": form} | submit_page.size_context(user, form.asked), status=422
    )


@login_required
@require_safe
def schedule(request: HttpRequest, schedule_id: str) -> HttpResponse:
    user = signed_in(request.user)
    found = plan_access.schedule_for(user, schedule_id, Right.VIEW)
    jobs = Job.objects.select_related("owner", "team", "size", "version__template").filter(schedule=found)
    context = {
        "schedule": found,
        "upcoming": _upcoming(found) if found.cron and not found.paused else [],
        "newest": dataset_versions.newest([found.on_change_id]).get(found.on_change_id) if found.on_change_id else None,
        "cards": pages.job_cards(list(jobs.order_by("-pk")[:LATEST])),
        "command": written(from_json(found.submission).command),
        "own": found.owner_id == user.pk,
        "may_end": Right.CANCEL in rights_on(user, found),
        "jobs_topic": f"jobs-{found.owner_id}",
        "live_topics": [found.topic, f"jobs-{found.owner_id}"],
    }
    return render(request, "jobs/schedule.html", context)


def _upcoming(found: Schedule) -> list[dict[str, Any]]:
    """The next five, by the clock there."""
    zone = ZoneInfo(found.zone)
    return [
        {"at": at, "there": f"{(local := at.astimezone(zone)):%a} {local.day} {local:%b %Y, %H:%M}"}
        for at in cron.upcoming(found.cron, found.zone, clock.now())
    ]


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def change_schedule(request: HttpRequest, schedule_id: str) -> HttpResponse:
    user = signed_in(request.user)
    found = plan_access.own_schedule(user, schedule_id)
    kept = from_json(found.submission)
    plan = {"plan": scheduling.asked_of(found)} | submit_page.choices(user, kept)
    if request.method != "POST":
        form = ScheduleForm(**plan)
        return render(
            request, "jobs/schedule_form.html", {"form": form, "schedule": found} | submit_page.size_context(user, kept)
        )
    form = ScheduleForm(request.POST, **plan)
    if form.is_valid():
        try:
            scheduling.change(found, form.schedule, actor=user.username)
            return redirect("schedule", found.pk)
        except Invalid as problem:
            form.refuse(problem)
    context = {"form": form, "schedule": found} | submit_page.size_context(user, form.asked)
    return render(request, "jobs/schedule_form.html", context, status=422)


def _button(request: HttpRequest, found: Schedule, act: Callable[[User], object]) -> HttpResponse:
    user = signed_in(request.user)
    try:
        act(user)
    except Invalid as problem:
        messages.error(request, sentence_of(problem))
    return redirect("schedule", found.pk)


@login_required
@require_POST
def pause(request: HttpRequest, schedule_id: str) -> HttpResponse:
    found = plan_access.schedule_for(signed_in(request.user), schedule_id, Right.CANCEL)
    return _button(request, found, lambda user: scheduling.pause(found, actor=user.username))


@login_required
@require_POST
def resume(request: HttpRequest, schedule_id: str) -> HttpResponse:
    found = plan_access.own_schedule(signed_in(request.user), schedule_id)
    return _button(request, found, lambda user: scheduling.resume(found, actor=user.username))


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, schedule_id: str) -> HttpResponse:
    """GET asks, POST does."""
    user = signed_in(request.user)
    found = plan_access.schedule_for(user, schedule_id, Right.CANCEL)
    if request.method == "POST":
        scheduling.delete(found, actor=user.username)
        messages.success(request, f"The schedule {found.name} is deleted.")
        return redirect("schedules")
    question = {
        "title": f"Delete {found.name}?",
        "sentence": "It makes no jobs any more.",
        "losses": ["The schedule"],
        "keeps": ["All jobs it has made, also those that run"],
        "action_url": request.path,
        "action_label": "Delete schedule",
        "cancel_url": found.get_absolute_url(),
    }
    return render(request, "confirm.html", question)
