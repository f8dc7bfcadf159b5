"""Pages of delegations: let somebody decide for oneself, and take that back."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from portal.accounts.access import leads, signed_in
from portal.accounts.models import User
from portal.approvals.days import begin_of, end_of
from portal.approvals.forms import chosen_among, day
from portal.lib import refusals
from portal.lib.errors import Forbidden, Invalid
from portal.quotas import access, delegating

NAMES = {"ends_at": "ends_on", "starts_at": "starts_on", "team": "right"}
AS_ADMINISTRATOR = ""


class DelegateForm(forms.Form):
    right = forms.ChoiceField(label="Which right", required=False)
    to = forms.CharField(label="Who decides", max_length=150, help_text="A username. For a lead, of the same team.")
    starts_on = day("From", required=False, help_text="Empty is now.")
    ends_on = day("Until", help_text="The last day, within 90 days.")

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rights = [(team.slug, f"As lead of {team.name}") for team in leads(user)]
        chosen_among(self, "right", [(AS_ADMINISTRATOR, "As administrator"), *rights] if user.is_staff else rights)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def delegate(request: HttpRequest) -> HttpResponse:
    user = signed_in(request.user)
    if not access.has_a_right(user):
        raise Forbidden("Only administrators and leads have a right to lend.", next_step=access.YOURS)
    form = DelegateForm(request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        try:
            given = _given(user, form.cleaned_data)
        except Invalid as problem:
            refusals.show(form, problem, NAMES)
        else:
            messages.success(request, f"{given} decides for you, too.")
            return redirect("approvals")
    return render(request, "quota/delegate.html", {"form": form}, status=422 if request.method == "POST" else 200)


def _given(user: User, data: dict[str, Any]) -> str:
    begin = begin_of(data["starts_on"]) if data["starts_on"] else None
    made = delegating.delegate(
        user, data["to"].strip(), ends_at=end_of(data["ends_on"]), starts_at=begin, team=data["right"] or None
    )
    return made.delegate.get_full_name()


@login_required
@require_POST
def take_back(request: HttpRequest, delegation_id: str) -> HttpResponse:
    user = signed_in(request.user)
    delegating.revoke(access.delegation_of(user, delegation_id), actor=user.username)
    messages.success(request, "Taken back.")
    return redirect("approvals")
