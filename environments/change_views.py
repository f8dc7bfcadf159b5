"""What a workspace's page offers: change it, copy it, share it, hand it over; and how an offer is answered."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from environments import access, actions, changes, handover, links, pages, serving_views, sharing, sharing_pages
from environments.access import Right
from environments.change_forms import DuplicateForm, OfferForm, ResizeForm, SettingsForm, ShareForm
from environments.configurations import launch_again
from environments.forms import AutoStopForm, RenameForm, ScheduleForm, schedule_values
from environments.idle import template_rule
from environments.models import Handover, Workspace
from environments.parameter_forms import put_errors
from environments.variables import text_of
from portal.accounts.access import signed_in
from portal.accounts.models import User
from portal.compute.models import Size
from portal.lib import clock
from portal.lib.errors import Conflict, Problem
from portal.usage import costs

RECEIVERS = {"user": "receiver", "team": "receiver", "until": "hours"}
"""What the form of a share calls the fields of the action."""


def sections(user: User, workspace: Workspace) -> dict[str, Any]:
    """Context of the part of a workspace's page where it is changed; only what this person may do is in it."""
    rights = access.rights_on(user, workspace)
    shown: dict[str, Any] = {
        "may_enter": Right.ENTER in rights,
        "may_manage": Right.MANAGE in rights,
        "may_share": Right.OWN in rights,
        "serving": serving_views.section(user, workspace, rights),
    }
    if Right.MANAGE in rights:
        shown |= {"rename_form": RenameForm(initial={"name": workspace.name}), "resize_form": _resize_form(workspace)}
        shown["auto_stop_form"] = _auto_stop_form(workspace)
        shown["shares"] = sharing_pages.given(workspace)
    if Right.OWN in rights:
        shown |= {"settings_form": SettingsForm(workspace=workspace), "duplicate_form": DuplicateForm()}
        shown["share_form"] = ShareForm(workspace=workspace)
        shown |= links.shown(workspace.version.template, launch_again(workspace))
        shown["schedule_form"] = ScheduleForm(initial=schedule_values(workspace))
    if Right.GIVE in rights:
        shown["offer_form"] = OfferForm(workspace=workspace)
        shown["offered"] = workspace.handovers.filter(answered_at=None).select_related("to").first()
    return shown


def _auto_stop_form(workspace: Workspace) -> AutoStopForm:
    minutes = {"auto_stop_minutes": workspace.auto_stop_minutes}
    return AutoStopForm(initial=minutes, rule=template_rule(workspace.version.template))


def _resize_form(workspace: Workspace, data: Any = None) -> ResizeForm:
    sizes: list[Size] = list(workspace.version.template.sizes.filter(retired=False))
    initial = {"size": workspace.size_id}
    return ResizeForm(data, sizes=sizes, prices=costs.per_hour(sizes), initial=initial)


def page(request: HttpRequest, workspace: Workspace, **bad: forms.Form) -> HttpResponse:
    """A workspace's page; with a form that was refused, it says what was wrong."""
    user = signed_in(request.user)
    context = pages.detail(user, workspace) | sections(user, workspace) | bad
    context["log"] = pages.log(workspace, request.GET)
    return render(request, "workspaces/detail.html", context, status=422 if bad else 200)


def _posted(
    request: HttpRequest, workspace: Workspace, name: str, form: forms.Form, act: Callable[[], str]
) -> HttpResponse:
    """Do what a form asks for and go to the page it names, or show the form again with what was wrong."""
    if form.is_valid():
        try:
            return redirect(act())
        except Problem as problem:
            put_errors(form, problem, RECEIVERS)
    return page(request, workspace, **{name: form})


@login_required
@require_POST
def resize(request: HttpRequest, workspace_id: str) -> HttpResponse:
    user, workspace = _reached(request, workspace_id, Right.MANAGE)
    form = _resize_form(workspace, request.POST)

    def act() -> str:
        actions.resize(workspace, form.cleaned_data["size"], actor=user.username)
        messages.success(request, f"{workspace.name} starts as {form.cleaned_data['size']} from now on.")
        return workspace.get_absolute_url()

    return _posted(request, workspace, "resize_form", form, act)


@login_required
@require_POST
def reconfigure(request: HttpRequest, workspace_id: str) -> HttpResponse:
    user, workspace = _reached(request, workspace_id, Right.OWN)
    form = SettingsForm(request.POST, workspace=workspace)

    def act() -> str:
        given = {name: form.cleaned_data[name] for name in ("env", "project")}
        changes.reconfigure(workspace, parameters=form.values, **given, actor=user.username)
        messages.success(request, f"{workspace.name} starts with these settings from now on.")
        return workspace.get_absolute_url()

    return _posted(request, workspace, "settings_form", form, act)


@login_required
@require_POST
def duplicate(request: HttpRequest, workspace_id: str) -> HttpResponse:
    user, workspace = _reached(request, workspace_id, Right.OWN)
    form = DuplicateForm(request.POST)

    def act() -> str:
        return changes.duplicate(workspace, form.cleaned_data["name"], actor=user.username).get_absolute_url()

    return _posted(request, workspace, "duplicate_form", form, act)


@login_required
@require_POST
def share(request: HttpRequest, workspace_id: str) -> HttpResponse:
    user, workspace = _reached(request, workspace_id, Right.OWN)
    form = ShareForm(request.POST, workspace=workspace)

    def act() -> str:
        until, right = clock.now() + form.lasting, form.cleaned_data["right"]
        sharing.share(workspace, **form.asked(), right=right, until=until, actor=user.username)
        return f"{workspace.get_absolute_url()}#sharing"

    return _posted(request, workspace, "share_form", form, act)


@login_required
@require_POST
def unshare(request: HttpRequest, workspace_id: str, share_id: str) -> HttpResponse:
    user, workspace = _reached(request, workspace_id, Right.MANAGE)
    sharing.revoke(access.share_of(workspace, share_id), actor=user.username)
    messages.success(request, "No longer shared. What they had open closes within a minute.")
    return redirect(f"{workspace.get_absolute_url()}#sharing")


@login_required
@require_POST
def offer(request: HttpRequest, workspace_id: str) -> HttpResponse:
    user, workspace = _reached(request, workspace_id, Right.GIVE)
    form = OfferForm(request.POST, workspace=workspace)

    def act() -> str:
        handover.offer(workspace, form.cleaned_data["to"], user)
        return workspace.get_absolute_url()

    return _posted(request, workspace, "offer_form", form, act)


@login_required
@require_POST
def withdraw(request: HttpRequest, workspace_id: str) -> HttpResponse:
    user, workspace = _reached(request, workspace_id, Right.GIVE)
    handover.withdraw(workspace, user)
    return redirect(workspace.get_absolute_url())


def _reached(request: HttpRequest, workspace_id: str, right: Right) -> tuple[User, Workspace]:
    user = signed_in(request.user)
    return user, access.workspace_for(user, workspace_id, right)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def take_over(request: HttpRequest, workspace_id: str) -> HttpResponse:
    """GET shows what is offered, POST answers; nothing changes hands without the click."""
    offered = access.offer_to(signed_in(request.user), workspace_id)
    if request.method != "POST":
        return render(request, "workspaces/take_over.html", _offer_context(offered))
    if request.POST.get("answer") != "accept":
        handover.decline(offered)
        messages.success(request, f"You declined {offered.workspace.name}.")
        return redirect("workspaces")
    try:
        return redirect(handover.accept(offered).get_absolute_url())
    except Conflict as problem:
        messages.error(request, problem.detail)
        return redirect("workspaces")


def _offer_context(offered: Handover) -> dict[str, Any]:
    workspace = offered.workspace
    return {
        "offer": sharing_pages.offer_row(offered),
        "team": workspace.team.name,
        "size": workspace.size,
        "version": workspace.version,
        "per_hour": costs.per_hour([workspace.size])[workspace.size_id],
        "settings": [
            *(f"{name}={value}" for name, value in workspace.parameters.items()),
            *([f"code of {workspace.git_url} {workspace.git_ref}".strip()] if workspace.git_url else []),
        ],
        "env": text_of(workspace.environment),
    }
