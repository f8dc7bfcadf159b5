"""Buttons and forms of the idle rule: keep running, and the minutes after which an idle workspace stops."""

from datetime import timedelta

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from environments import access, actions, change_views
from environments.access import Right
from environments.forms import AutoStopForm, KeepForm
from environments.idle import template_rule
from portal.accounts.access import signed_in
from portal.lib import clock
from portal.lib.errors import Invalid, Problem
from portal.lib.refusals import sentence_of


@login_required
@require_POST
def extend(request: HttpRequest, workspace_id: str) -> HttpResponse:
    """One click; or for the hours that were chosen."""
    user = signed_in(request.user)
    workspace = access.workspace_for(user, workspace_id, Right.MANAGE)
    form = KeepForm(request.POST, rule=template_rule(workspace.version.template))
    try:
        if not form.is_valid():
            raise Invalid.field("hours", "Choose one of the hours that are offered.")
        hours = form.cleaned_data["hours"]
        until = clock.now() + timedelta(hours=hours) if hours else None
        actions.extend(workspace, until, actor=user.username)
    except Problem as problem:
        messages.error(request, sentence_of(problem))
    return redirect("workspace", workspace.pk)


@login_required
@require_POST
def auto_stop(request: HttpRequest, workspace_id: str) -> HttpResponse:
    user = signed_in(request.user)
    workspace = access.workspace_for(user, workspace_id, Right.MANAGE)
    form = AutoStopForm(request.POST, rule=template_rule(workspace.version.template))
    if form.is_valid():
        try:
            actions.set_auto_stop(workspace, form.cleaned_data["auto_stop_minutes"], actor=user.username)
            return redirect("workspace", workspace.pk)
        except Invalid as problem:
            form.add_error("auto_stop_minutes", sentence_of(problem))
    return change_views.page(request, workspace, auto_stop_form=form)
