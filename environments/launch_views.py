"""Pages on which workspaces are launched: the catalog, the form, links that fill it in, and one-click relaunch."""

from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from environments import access, actions, cards, configurations, launch_page, links
from environments.access import Right
from environments.launch import Launch
from environments.launch_form import LaunchForm, initial_of
from environments.links import FromLink
from environments.models import Configuration, Template
from environments.parameter_forms import put_errors
from portal.accounts.access import signed_in, teams_of
from portal.accounts.models import User
from portal.lib.errors import Invalid
from portal.lib.refusals import sentence_of
from portal.usage import costs

WORKSPACE = "workspace"


@login_required
@require_safe
def new(request: HttpRequest) -> HttpResponse:
    user = signed_in(request.user)
    templates = list(access.templates_for(user).filter(kind=WORKSPACE))
    saved = list(access.configurations_of(user)[: configurations.MOST])
    prices = costs.per_hour({size for template in templates for size in template.sizes.all()})
    shown = [cards.template_card(template, prices) for template in templates]
    context = {
        "templates": shown,
        "saved": [launch_page.saved_card(one, prices) for one in saved],
        "live_topics": [card.topic for card in shown],
    }
    return render(request, "workspaces/new.html", context)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def launch(request: HttpRequest, slug: str) -> HttpResponse:
    user = signed_in(request.user)
    template = access.template_for(user, slug, WORKSPACE)
    if request.method == "POST":
        return _posted(request, template)
    asked = _first_values(user, template, request.GET)
    return _page(request, template, form_of(user, template, initial_of(asked)), asked)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def from_link(request: HttpRequest, slug: str) -> HttpResponse:
    """The same form, filled in by a link and saying so; the person's own default has no part in it."""
    user = signed_in(request.user)
    template = access.template_for(user, slug, WORKSPACE)
    found = links.read(user, template, request.GET)
    if request.method == "POST":
        return _posted(request, template, found)
    return _page(request, template, form_of(user, template, initial_of(found.launch)), found.launch, link=found)


@login_required
@require_POST
def preview(request: HttpRequest, slug: str) -> HttpResponse:
    """The page as it would be with what is in the form now; nothing is complained about, nothing is done."""
    user = signed_in(request.user)
    template = access.template_for(user, slug, WORKSPACE)
    asked = form_of(user, template, data=request.POST).asked
    return _page(request, template, form_of(user, template, initial_of(asked)), asked)


@require_safe
def badge(request: HttpRequest) -> HttpResponse:
    """A picture for pages elsewhere; it says nothing about anybody or anything here."""
    response = HttpResponse(render_to_string("workspaces/badge.svg"), content_type="image/svg+xml")
    response["Cache-Control"] = "public, max-age=86400"
    response["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    return response


@login_required
@require_POST
def relaunch(request: HttpRequest) -> HttpResponse:
    """One click: a workspace, a saved configuration or a template again, with all its settings."""
    user = signed_in(request.user)
    asked, saved, query = _again(user, request.POST)
    try:
        workspace = actions.create(user, asked, actor=user.username)
    except Invalid as problem:
        messages.error(request, sentence_of(problem))
        if "template" in problem.fields:
            return redirect("workspace-new")
        return redirect(f"{reverse('workspace-launch', args=[asked.template])}?{query}")
    if saved is not None:
        configurations.used(saved)
    return redirect("workspace", workspace.pk)


def _again(user: User, posted: QueryDict) -> tuple[Launch, Configuration | None, str]:
    """The launch, the configuration it is in, and the query that fills the form with it."""
    if pk := posted.get("configuration"):
        saved = access.configuration_for(user, pk)
        return configurations.launch_of(saved), saved, f"configuration={saved.pk}"
    if pk := posted.get("workspace"):
        workspace = access.workspace_for(user, pk, Right.OWN)
        return configurations.launch_again(workspace), None, f"workspace={workspace.pk}"
    template = access.template_for(user, posted.get("template", "").replace("\0", ""), WORKSPACE)
    return _plain(configurations.preferred(user, template), posted), None, ""


def _first_values(user: User, template: Template, query: QueryDict) -> Launch:
    """What the form begins with: what the address names, else the person's default, else the template's."""
    found = configurations.preferred(user, template)
    if pk := query.get("configuration"):
        found = configurations.launch_of(access.configuration_for(user, pk))
    elif pk := query.get("workspace"):
        found = configurations.launch_again(access.workspace_for(user, pk, Right.OWN))
    if found.template != template.slug:
        found = Launch(template=template.slug)
    return _plain(found, query)


def _plain(found: Launch, query: QueryDict) -> Launch:
    named: dict[str, Any] = {name: query[name] for name in ("version", "size", "team") if query.get(name)}
    return replace(found, **named)


def form_of(
    user: User, template: Template, initial: dict[str, Any] | None = None, data: QueryDict | None = None
) -> LaunchForm:
    """The form of the version that is asked for; of the newest, if there is no such version."""
    versions = list(template.versions.all())
    wanted = (data or initial or {}).get("version")
    version = next((one for one in versions if one.version == wanted), versions[0])
    teams = list(teams_of(user))
    return LaunchForm(data, initial=initial, template=template, version=version, teams=teams, user=user)


def _posted(request: HttpRequest, template: Template, link: FromLink | None = None) -> HttpResponse:
    user = signed_in(request.user)
    form = form_of(user, template, data=request.POST)
    if form.is_valid():
        try:
            return _do(request, user, form)
        except Invalid as problem:
            put_errors(form, problem)
    return _page(request, template, form, form.asked, link=link, status=422)


def _do(request: HttpRequest, user: User, form: LaunchForm) -> HttpResponse:
    """What the pressed button says: launch, unless it is one of those that save. Raises Invalid."""
    asked = form.asked
    match request.POST.get("do"):
        case "save":
            saved = configurations.save(user, form.cleaned_data["configuration"], asked, actor=user.username)
            messages.success(request, f"“{saved.name}” is saved. Launch it from here or from Home with one click.")
            return redirect("workspace-new")
        case "prefer":
            configurations.prefer(user, asked, actor=user.username)
            messages.success(request, "Saved. From now on this page begins with these settings for you.")
            return redirect("workspace-launch", form.template.slug)
        case _:
            return redirect("workspace", actions.create(user, asked, actor=user.username).pk)


def _page(
    request: HttpRequest,
    template: Template,
    form: LaunchForm,
    asked: Launch,
    *,
    link: FromLink | None = None,
    status: int = 200,
) -> HttpResponse:
    if link:
        form.mark([one.field for one in link.taken], "Set by the link.")
    context = launch_page.context(signed_in(request.user), template, form, asked)
    address = request.get_full_path() if link else reverse("workspace-launch", args=[template.slug])
    context |= {"from_link": link, "action_url": address}
    return render(request, "workspaces/launch.html", context, status=status)
