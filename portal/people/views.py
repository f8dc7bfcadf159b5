"""Pages of people and teams, for administrators: list, invite, one person, suspend, roles."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST

from jobs import tracking
from portal.accounts import people
from portal.accounts.access import signed_in
from portal.accounts.actions import set_share
from portal.accounts.models import ApiToken, Team, User
from portal.compute import shares
from portal.lib import clock, refusals
from portal.lib.errors import Forbidden, Invalid
from portal.people import actions
from portal.people.forms import InviteForm, JoinForm, ShareForm, TeamForm

SHOWN = 50


def _administrator(request: HttpRequest) -> User:
    user = signed_in(request.user)
    if not user.is_staff:
        raise Forbidden("Only administrators look after people and teams.")
    return user


@sensitive_variables("password")
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def everybody(request: HttpRequest) -> HttpResponse:
    """GET finds by `?q=`; POST invites. The first password is shown in the answer, and nowhere else."""
    admin = _administrator(request)
    form = InviteForm(request.POST or None)
    invited, password = None, ""
    if request.method == "POST" and form.is_valid():
        try:
            invited, password = people.invite(**form.cleaned_data, actor=admin.username)
        except Invalid as problem:
            refusals.show(form, problem)
        else:
            form = InviteForm()
    status = 422 if request.method == "POST" and invited is None else 200
    return _list(request, form, TeamForm(), status=status, invited=invited, password=password)


def _list(
    request: HttpRequest,
    form: InviteForm,
    team_form: TeamForm,
    *,
    status: int,
    invited: User | None = None,
    password: str = "",
) -> HttpResponse:
    query = request.GET.get("q", "")[:100].replace("\0", "")
    found = User.objects.prefetch_related("memberships__team").order_by("username")
    if query:
        found = found.filter(Q(username__icontains=query) | Q(name__icontains=query) | Q(email__icontains=query))
    context = {
        "page": Paginator(found, SHOWN).get_page(request.GET.get("page")),
        "query": query,
        "form": form,
        "team_form": team_form,
        "teams": Team.objects.annotate(number=Count("memberships")),
        "invited": invited,
        "password": password,
    }
    response = render(request, "people/list.html", context, status=status)
    response["Cache-Control"] = "no-store"
    return response


@login_required
@require_POST
def add_team(request: HttpRequest) -> HttpResponse:
    admin = _administrator(request)
    form = TeamForm(request.POST)
    if form.is_valid():
        try:
            team = people.found_team(**form.cleaned_data, actor=admin.username)
        except Invalid as problem:
            refusals.show(form, problem)
        else:
            messages.success(request, f"Team {team.name} is there. Open a person to put them in it.")
            return redirect("people")
    return _list(request, InviteForm(), form, status=422)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def team(request: HttpRequest, slug: str) -> HttpResponse:
    """POST sets its share of the machines."""
    admin = _administrator(request)
    found = get_object_or_404(Team, slug=slug)
    form = ShareForm(request.POST or None, initial={"share": found.share})
    if request.method == "POST" and form.is_valid():
        set_share(found, form.cleaned_data["share"], actor=admin.username)
        messages.success(request, f"Team {found.name} has a share of {found.share} now.")
        return redirect("team", found.slug)
    had, part = shares.parts(found)
    context = {
        "team": found,
        "form": form,
        "members": found.memberships.select_related("user").order_by("user__username"),
        "had": f"{had:.0%}",
        "part": f"{part:.0%}",
        "tracking": tracking.offered(found),
    }
    return render(request, "people/team.html", context, status=422 if request.method == "POST" else 200)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def person(request: HttpRequest, user_id: str) -> HttpResponse:
    """POST puts them into a team, or changes their role there."""
    admin = _administrator(request)
    found = people.person(user_id)
    form = JoinForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        member = people.join(found, **form.cleaned_data, actor=admin.username)
        messages.success(request, f"{found.get_full_name()} is in {member.team.name} now.")
        return redirect("person", found.pk)
    return _person(request, found, form, status=422 if request.method == "POST" else 200)


def _person(request: HttpRequest, found: User, form: JoinForm, *, status: int, password: str = "") -> HttpResponse:
    now = clock.now()
    context = {
        "person": found,
        "memberships": found.memberships.select_related("team"),
        "tokens": ApiToken.objects.filter(user=found, revoked_at=None, expires_at__gt=now).count(),
        "own": found.pk == signed_in(request.user).pk,
        "form": form,
        "password": password,
    }
    response = render(request, "people/person.html", context, status=status)
    response["Cache-Control"] = "no-store"
    return response


@sensitive_variables("password")
@login_required
@require_POST
def reset_password(request: HttpRequest, user_id: str) -> HttpResponse:
    admin = _administrator(request)
    found = people.person(user_id)
    password = people.reset_password(found, actor=admin.username)
    return _person(request, found, JoinForm(), status=200, password=password)


@login_required
@require_POST
def leave(request: HttpRequest, user_id: str) -> HttpResponse:
    admin = _administrator(request)
    found = people.person(user_id)
    people.leave(found, request.POST.get("team", ""), actor=admin.username)
    messages.success(request, f"{found.get_full_name()} is no longer in it.")
    return redirect("person", found.pk)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def suspend(request: HttpRequest, user_id: str) -> HttpResponse:
    """GET says what will end, POST does it."""
    admin = _administrator(request)
    found = people.person(user_id)
    if request.method == "POST":
        actions.suspend(found, actor=admin.username)
        messages.success(request, f"{found.get_full_name()} is suspended, and what they ran is being ended.")
        return redirect("person", found.pk)
    workspaces, jobs = actions.running(found).count(), actions.unfinished(found).count()
    context = {
        "title": f"Suspend {found.get_full_name()}?",
        "sentence": "They are signed out everywhere and cannot sign in; their tokens and keys open nothing.",
        "losses": [f"What is in memory in {workspaces} running workspaces", f"{jobs} jobs that are not over"],
        "keeps": ["Files, records and cost", "Their place in teams, for when they are let in again"],
        "action_url": request.path,
        "action_label": "Suspend",
        "cancel_url": reverse("person", args=[found.pk]),
    }
    return render(request, "confirm.html", context)


@login_required
@require_POST
def state(request: HttpRequest, user_id: str) -> HttpResponse:
    """`do`: reinstate, promote (to administrator) or demote."""
    admin = _administrator(request)
    found = people.person(user_id)
    match request.POST.get("do"):
        case "reinstate":
            people.activate(found, actor=admin.username)
        case "promote" | "demote" as do:
            people.set_staff(found, do == "promote", actor=admin.username)
        case _:
            raise Invalid("Choose one of the buttons.")
    messages.success(request, "Done.")
    return redirect("person", found.pk)
