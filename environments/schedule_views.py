"""The form of a workspace's schedule."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from environments import access, change_views, scheduling
from environments.access import Right
from environments.forms import ScheduleForm
from environments.models import Workspace
from portal.accounts.access import signed_in
from portal.lib.errors import Invalid


@login_required
@require_POST
def change(request: HttpRequest, workspace_id: str) -> HttpResponse:
    """Save it, or forget it."""
    user = signed_in(request.user)
    workspace = access.workspace_for(user, workspace_id, Right.OWN)
    if request.POST.get("clear"):
        scheduling.clear_schedule(workspace, actor=user.username)
        return redirect("workspace", workspace.pk)
    form = ScheduleForm(request.POST)
    if form.is_valid() and _saved(workspace, form, user.username):
        return redirect("workspace", workspace.pk)
    return change_views.page(request, workspace, schedule_form=form)


def _saved(workspace: Workspace, form: ScheduleForm, actor: str) -> bool:
    given = form.cleaned_data
    try:
        plan = scheduling.checked(given["days"], given["start"], given["stop"], given["time_zone"])
        scheduling.set_schedule(workspace, plan, actor=actor)
    except Invalid as problem:
        for field, sentences in problem.fields.items():
            form.add_error(field, sentences)
        return False
    return True
