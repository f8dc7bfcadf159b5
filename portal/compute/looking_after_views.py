"""Pages on which leads and administrators write to who holds compute, and stop it with a reason."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from portal.accounts.access import signed_in
from portal.compute import access, looking_after, owners
from portal.compute.forms import MessageForm, StopForm
from portal.lib import refusals
from portal.lib.errors import Invalid


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def message(request: HttpRequest, allocation_id: str) -> HttpResponse:
    user = signed_in(request.user)
    found = access.looked_after_by(user, allocation_id)
    name, holder = owners.subject(found).name, found.user.get_full_name()
    form = MessageForm(request.POST or None)
    if _done(request, form, lambda said: looking_after.message(found, said["text"], sender=user)):
        messages.success(request, f"{holder} has your message.")
        return redirect("gpu-board")
    words = {"title": f"Write to {holder}", "sentence": f"About {name}, of team {found.team.name}.", "label": "Send"}
    return _page(request, form, words)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def stop(request: HttpRequest, allocation_id: str) -> HttpResponse:
    """GET says what will be lost and what stays."""
    user = signed_in(request.user)
    found = access.looked_after_by(user, allocation_id)
    name, holder = owners.subject(found).name, found.user.get_full_name()
    form = StopForm(request.POST or None)
    if _done(request, form, lambda said: looking_after.stop(found, said["because"], actor=user)):
        messages.success(request, f"{name} is being stopped, and {holder} is told why.")
        return redirect("gpu-board")
    words = {
        "title": f"Stop {name}?",
        "sentence": f"{holder} runs it for team {found.team.name}.",
        "losses": "What is only in memory: unsaved notebooks, kernels, a run that has not ended.",
        "stays": owners.owner_of(found).stays,
        "label": "Stop it",
    }
    return _page(request, form, words)


def _done(request: HttpRequest, form: forms.Form, action: Callable[[dict[str, Any]], None]) -> bool:
    if request.method != "POST" or not form.is_valid():
        return False
    try:
        action(form.cleaned_data)
    except Invalid as problem:
        refusals.show(form, problem)
        return False
    return True


def _page(request: HttpRequest, form: forms.Form, words: dict[str, str]) -> HttpResponse:
    status = 422 if request.method == "POST" else 200
    return render(request, "compute/looking_after.html", words | {"form": form}, status=status)
