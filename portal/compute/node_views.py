"""Page of a node, for administrators, and emptying it."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from portal.accounts.access import signed_in
from portal.accounts.models import User
from portal.compute import board, node_actions, node_page
from portal.compute.forms import DrainForm
from portal.compute.models import Node
from portal.lib import refusals
from portal.lib.errors import Forbidden, Invalid

PAGE_SIZE = 50


def _administrator(request: HttpRequest) -> User:
    user = signed_in(request.user)
    if not user.is_staff:
        raise Forbidden("Only administrators look after nodes.")
    return user


@login_required
@require_safe
def node(request: HttpRequest, node_id: str) -> HttpResponse:
    admin = _administrator(request)
    return _page(request, admin, node_actions.node_for(node_id), DrainForm(), status=200)


@login_required
@require_POST
def drain(request: HttpRequest, node_id: str) -> HttpResponse:
    admin, found, form = _administrator(request), node_actions.node_for(node_id), DrainForm(request.POST)
    if form.is_valid():
        try:
            node_actions.drain(found, **form.cleaned_data, actor=admin.username)
        except Invalid as problem:
            refusals.show(form, problem)
        else:
            messages.success(request, f"{found.name} is closed, and the owners of what runs there are told.")
            return redirect("node", found.pk)
    return _page(request, admin, found, form, status=422)


@login_required
@require_POST
def undrain(request: HttpRequest, node_id: str) -> HttpResponse:
    admin, found = _administrator(request), node_actions.node_for(node_id)
    node_actions.undrain(found, actor=admin.username)
    messages.success(request, f"What runs on {found.name} stays; it is still closed to new work.")
    return redirect("node", found.pk)


def _page(request: HttpRequest, admin: User, found: Node, form: DrainForm, *, status: int) -> HttpResponse:
    page = Paginator(node_page.placed_on(found), PAGE_SIZE).get_page(request.GET.get("page"))
    [card] = board.cards(admin, Node.objects.filter(pk=found.pk))
    context = {
        "node": found,
        "card": card,
        "capacity": node_page.capacity(found),
        "runs": node_page.runs(admin, found, list(page)),
        "page": page,
        "form": form,
        "live_topics": ["allocations", "nodes"],
    }
    return render(request, "compute/node.html", context, status=status)
