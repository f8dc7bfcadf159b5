"""The part of a workspace's page that gives it to all jobs of its team, and takes it back."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from environments import access, addresses, serving
from environments.access import Right
from environments.models import Workspace
from environments.states import Serves
from portal.accounts.access import signed_in
from portal.accounts.models import User
from portal.lib.errors import Conflict


def section(user: User, workspace: Workspace, rights: Right) -> dict[str, Any] | None:
    """What it is or could be for its team, for those who see that; `opens`: whether members can come to its pages."""
    now = workspace.serves_team
    if not now and not serving.may_serve(user, workspace):
        return None
    return {
        "what": Serves(now or workspace.version.template.serves).label,
        "now": bool(now),
        "opens": not addresses.path_mode(),
        "may_end": Right.MANAGE in rights,
    }


@login_required
@require_POST
def serve(request: HttpRequest, workspace_id: str) -> HttpResponse:
    user = signed_in(request.user)
    workspace = access.workspace_for(user, workspace_id, Right.OWN)
    try:
        serving.serve(workspace, by=user)
    except Conflict as problem:
        messages.error(request, problem.detail)
    return redirect(f"{workspace.get_absolute_url()}#serving")


@login_required
@require_POST
def take_back(request: HttpRequest, workspace_id: str) -> HttpResponse:
    user = signed_in(request.user)
    workspace = access.workspace_for(user, workspace_id, Right.MANAGE)
    serving.take_back(workspace, actor=user.username)
    return redirect(workspace.get_absolute_url())
