"""Pages of workspaces: the list, one workspace and its fragments, and its buttons. Launching is in launch_views.py."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from environments import access, actions, cards, change_views, pages, sharing_pages
from environments.access import Right
from environments.forms import RenameForm
from environments.models import Workspace
from environments.states import W, state_of, where_state
from portal.accounts.access import signed_in
from portal.compute.answers import text_answer
from portal.compute.log_reading import lines_after
from portal.lib.errors import Conflict, Invalid, NotFound, Problem
from portal.lib.refusals import sentence_of

PAGE_SIZE = 50
FRAGMENTS = ("header", "stage", "metrics", "details", "warning", "idle")
FILTERS = {"": "All", W.RUNNING: "Running", W.STOPPED: "Stopped", W.FAILED: "Failed"}


@login_required
@require_safe
def list_workspaces(request: HttpRequest) -> HttpResponse:
    user = signed_in(request.user)
    state = request.GET.get("state", "")
    if state not in FILTERS:
        raise NotFound("There is no such filter.")
    mine = access.workspaces_of(user)
    shown = mine.filter(where_state(W(state))) if state else mine
    page = Paginator(shown, PAGE_SIZE).get_page(request.GET.get("page"))
    rows = pages.workspace_cards(list(page.object_list))
    topic, received = f"workspaces-{user.pk}", sharing_pages.received(user)
    context = received | {
        "cards": rows,
        "filters": [
            cards.Filter(
                label,
                f"?state={value}" if value else "?",
                mine.filter(where_state(W(value))).count() if value else mine.count(),
                value == state,
            )
            for value, label in FILTERS.items()
        ],
        "page": page,
        "query": f"state={state}" if state else "",
        "list_topic": topic,
        "live_topics": [topic, *(card.topic for card in rows), *sharing_pages.topics_of(received)],
    }
    return render(request, "workspaces/list.html", context)


@login_required
@require_safe
def detail(request: HttpRequest, workspace_id: str) -> HttpResponse:
    user = signed_in(request.user)
    workspace = access.workspace_for(user, workspace_id, Right.VIEW)
    return change_views.page(request, workspace)


@login_required
@require_safe
def fragment(request: HttpRequest, workspace_id: str, name: str) -> HttpResponse:
    """One live part of a page; access is checked again each time."""
    user = signed_in(request.user)
    workspace = access.workspace_for(user, workspace_id, Right.VIEW)
    if name == "row":
        if workspace.deleted_at is not None:
            raise NotFound("This workspace was deleted.")
        return render(request, "workspaces/row.html", {"card": pages.workspace_card(user, workspace)})
    if name == "log":
        return render(request, "components/log.html", {"log": pages.log(workspace, request.GET)})
    if name not in FRAGMENTS:
        raise NotFound("There is no such part of a page.")
    return render(request, f"workspaces/detail.html#{name}", pages.detail(user, workspace))


@login_required
@require_safe
def download_log(request: HttpRequest, workspace_id: str) -> StreamingHttpResponse:
    """The whole archived log as inert text."""
    workspace = access.workspace_for(signed_in(request.user), workspace_id, Right.VIEW)
    lines = lines_after(workspace.allocation) if workspace.allocation else iter(())
    return text_answer(lines, f"{workspace.pk}.log")


def _button(request: HttpRequest, workspace_id: str, action: Any, right: Right = Right.MANAGE) -> HttpResponse:
    """Do one thing and go back to where the button was."""
    user = signed_in(request.user)
    workspace = access.workspace_for(user, workspace_id, right)
    try:
        action(workspace, actor=user.username)
    except (Conflict, Invalid) as problem:
        messages.error(request, sentence_of(problem))
    return redirect("workspace", workspace.pk)


@login_required
@require_POST
def start(request: HttpRequest, workspace_id: str) -> HttpResponse:
    return _button(request, workspace_id, actions.start, Right.OWN)


@login_required
@require_POST
def stop(request: HttpRequest, workspace_id: str) -> HttpResponse:
    return _button(request, workspace_id, actions.stop)


@login_required
@require_POST
def suspend(request: HttpRequest, workspace_id: str) -> HttpResponse:
    return _button(request, workspace_id, actions.suspend)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def resume(request: HttpRequest, workspace_id: str) -> HttpResponse:
    """POST does; GET, where somebody comes from the workspace's own address, asks, and its button leads in."""
    if request.method == "POST":
        return _button(request, workspace_id, actions.resume, Right.ENTER)
    workspace = access.workspace_for(signed_in(request.user), workspace_id, Right.ENTER)
    if state_of(workspace.allocation, workspace.deleted_at is not None) != W.SUSPENDED:
        return redirect("workspace", workspace.pk)
    question = {
        "title": f"Resume {workspace.name}?",
        "sentence": "It is suspended. It goes on where it was, with all that it holds in memory.",
        "action_url": f"/workspaces/{workspace.pk}/open/",
        "action_label": "Resume and open",
        "action_style": "btn-primary",
        "cancel_url": f"/workspaces/{workspace.pk}/",
    }
    return render(request, "confirm.html", question)


@login_required
@require_POST
def restart(request: HttpRequest, workspace_id: str) -> HttpResponse:
    return _button(request, workspace_id, actions.restart)


@login_required
@require_POST
def rename(request: HttpRequest, workspace_id: str) -> HttpResponse:
    user = signed_in(request.user)
    workspace = access.workspace_for(user, workspace_id, Right.MANAGE)
    form = RenameForm(request.POST)
    if form.is_valid():
        try:
            actions.rename(workspace, form.cleaned_data["name"], actor=user.username)
            return redirect("workspace", workspace.pk)
        except Problem as problem:
            form.add_error("name", sentence_of(problem))
    return change_views.page(request, workspace, rename_form=form)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, workspace_id: str) -> HttpResponse:
    """GET asks, POST does; files are kept unless asked otherwise."""
    user = signed_in(request.user)
    workspace = access.workspace_for(user, workspace_id, Right.MANAGE)
    if request.method != "POST":
        return render(request, "confirm.html", _delete_question(workspace))
    delete_files = request.POST.get("volumes") == "delete"
    if delete_files and workspace.owner_id != user.pk:
        messages.error(request, f"Only {workspace.owner.get_full_name()} can delete these files.")
        return redirect("workspace", workspace.pk)
    try:
        actions.delete(workspace, delete_files=delete_files, actor=user.username)
    except Conflict as problem:
        messages.error(request, problem.detail)
        return redirect("workspace", workspace.pk)
    messages.success(request, f"{workspace.name} is deleted.")
    return redirect("workspaces")


def _delete_question(workspace: Workspace) -> dict[str, Any]:
    return {
        "title": f"Delete {workspace.name}?",
        "sentence": "It stops, and its name is free again.",
        "losses": ["What runs in it now", "/tmp and system packages"],
        "keeps": ["Its log, history and cost"],
        "action_url": f"/workspaces/{workspace.pk}/delete/",
        "action_label": "Delete workspace",
        "choices": [
            cards.Choice("volumes", "keep", "Keep the files", "They are in all your workspaces.", True),
            cards.Choice(
                "volumes",
                "delete",
                "Delete the home folder too",
                "All workspaces of its owner share it. This cannot be undone.",
                False,
            ),
        ],
        "fields": [],
        "cancel_url": f"/workspaces/{workspace.pk}/",
    }
