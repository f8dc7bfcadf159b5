"""Pages of workspaces: list, catalog, launch, one workspace and its fragments, and its buttons."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from environments import access, actions, cards, pages
from environments.access import Right
from environments.forms import LaunchForm, RenameForm
from environments.models import Template, Workspace
from environments.states import W, where_state
from portal.accounts.access import signed_in, teams_of
from portal.compute import logs
from portal.lib.errors import Conflict, Invalid, NotFound, Problem
from portal.lib.money import Money
from portal.usage import costs

PAGE_SIZE = 50
FRAGMENTS = ("header", "stage", "metrics", "details")
FILTERS = {"": "All", W.RUNNING: "Running", W.STOPPED: "Stopped", W.FAILED: "Failed"}
USUAL_HOURS = 4


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
    topic = f"workspaces-{user.pk}"
    context = {
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
        "live_topics": [topic, *(card.topic for card in rows)],
    }
    return render(request, "workspaces/list.html", context)


@login_required
@require_safe
def new(request: HttpRequest) -> HttpResponse:
    templates = list(access.templates_for(signed_in(request.user)).filter(kind="workspace"))
    prices = costs.per_hour({size for template in templates for size in template.sizes.all()})
    shown = [cards.template_card(template, prices) for template in templates]
    return render(request, "workspaces/new.html", {"templates": shown, "live_topics": [card.topic for card in shown]})


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def launch(request: HttpRequest, slug: str) -> HttpResponse:
    user = signed_in(request.user)
    template = access.template_for(user, slug)
    teams = list(teams_of(user))
    if request.method != "POST":
        return _launch_page(request, template, LaunchForm(request.GET or None, teams=teams))
    form = LaunchForm(request.POST, teams=teams)
    if form.is_valid():
        try:
            return redirect("workspace", _create(request, template.slug, form.cleaned_data).pk)
        except Invalid as problem:
            for field, sentences in problem.fields.items():
                form.add_error(field if field in form.fields else None, sentences)
    return _launch_page(request, template, form, status=422)


def _create(request: HttpRequest, template: str, data: dict[str, Any]) -> Workspace:
    user = signed_in(request.user)
    return actions.create(
        user,
        template=template,
        size=data.get("size") or None,
        team=data.get("team") or None,
        name=data.get("name") or "",
        actor=user.username,
    )


def _launch_page(request: HttpRequest, template: Template, form: LaunchForm, status: int = 200) -> HttpResponse:
    user = signed_in(request.user)
    sizes = [size for size in template.sizes.all() if not size.retired]
    asked = form.data.get("size")
    chosen = next((size for size in sizes if size.slug == asked), template.default_size)
    shown, now = pages.sizes_for_launch(sizes, chosen.slug)
    price = next(size.per_hour for size in shown if size.checked)
    team = next(iter(teams_of(user)), None)
    card = cards.template_card(template, costs.per_hour(sizes))
    context = {
        "template": card,
        "sizes": shown,
        "form": form,
        "per_hour": price,
        "usual": Money(price.amount * USUAL_HOURS, price.currency),
        "usual_text": f"a usual {USUAL_HOURS} h session",
        "summary": [cards.Row("Starts", _starts(card, now)), cards.Row("Stops", "when you stop it")],
        "charged_to": form.data.get("team") or (team.slug if team else "no team yet"),
        "stays": "your home",
        "lost": "/tmp, system packages",
        "live_topics": [card.topic],
    }
    return render(request, "workspaces/launch.html", context, status=status)


def _starts(card: cards.TemplateCard, now: bool) -> str:
    if card.image_state != "ready":
        return "when its image is built"
    return "now, in a few seconds" if now else "when there is room"


@login_required
@require_POST
def relaunch(request: HttpRequest) -> HttpResponse:
    """One click from home: the same template, size and team again."""
    try:
        workspace = _create(request, request.POST.get("template", ""), request.POST.dict())
    except Invalid as problem:
        messages.error(request, pages.sentence_of(problem))
        return redirect("workspace-new")
    return redirect("workspace", workspace.pk)


@login_required
@require_safe
def detail(request: HttpRequest, workspace_id: str) -> HttpResponse:
    user = signed_in(request.user)
    workspace = access.workspace_for(user, workspace_id, Right.VIEW)
    return _detail_page(request, workspace, RenameForm(initial={"name": workspace.name}))


def _detail_page(request: HttpRequest, workspace: Workspace, form: RenameForm, status: int = 200) -> HttpResponse:
    context = pages.detail(signed_in(request.user), workspace) | {"rename_form": form}
    return render(request, "workspaces/detail.html", context, status=status)


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
    if name not in FRAGMENTS:
        raise NotFound("There is no such part of a page.")
    return render(request, f"workspaces/detail.html#{name}", pages.detail(user, workspace))


@login_required
@require_safe
def download_log(request: HttpRequest, workspace_id: str) -> StreamingHttpResponse:
    """The whole archived log as inert text."""
    workspace = access.workspace_for(signed_in(request.user), workspace_id, Right.VIEW)
    lines = logs.lines_after(workspace.allocation) if workspace.allocation else iter(())
    response = StreamingHttpResponse(
        (f"{line.at} {line.stream} {line.text}\n" for line in lines), content_type="text/plain; charset=utf-8"
    )
    response["Content-Disposition"] = f'attachment; filename="{workspace.pk}.log"'
    return response


def _button(request: HttpRequest, workspace_id: str, action: Any, right: Right = Right.MANAGE) -> HttpResponse:
    """Do one thing and go back to where the button was."""
    user = signed_in(request.user)
    workspace = access.workspace_for(user, workspace_id, right)
    try:
        action(workspace, actor=user.username)
    except (Conflict, Invalid) as problem:
        messages.error(request, pages.sentence_of(problem))
    return redirect("workspace", workspace.pk)


@login_required
@require_POST
def start(request: HttpRequest, workspace_id: str) -> HttpResponse:
    return _button(request, workspace_id, actions.start, Right.USE)


@login_required
@require_POST
def stop(request: HttpRequest, workspace_id: str) -> HttpResponse:
    return _button(request, workspace_id, actions.stop)


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
            form.add_error("name", pages.sentence_of(problem))
    return _detail_page(request, workspace, form, status=422)


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
