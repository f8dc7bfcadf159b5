"""Setting and removing a team's budget from the page of usage, for administrators."""

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from portal.accounts.access import signed_in
from portal.accounts.models import Team
from portal.lib import refusals
from portal.lib.errors import Forbidden, Invalid, NotFound
from portal.usage import budgets
from portal.usage.models import Budget


class BudgetForm(forms.Form):
    amount = forms.DecimalField(label="Amount for a month", max_digits=12, decimal_places=2)
    policy = forms.ChoiceField(label="When it is used up", choices=Budget.Policy.choices, widget=forms.RadioSelect)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def budget(request: HttpRequest, slug: str) -> HttpResponse:
    """POST sets it, or with `remove` takes it away."""
    user = signed_in(request.user)
    if not user.is_staff:
        raise Forbidden("Only administrators set budgets.")
    team = Team.objects.filter(slug=slug).first()
    if team is None:
        raise NotFound("There is no such team.")
    found = Budget.objects.filter(team=team).first()
    if request.method == "POST" and "remove" in request.POST:
        budgets.remove(team, actor=user.username)
        messages.success(request, f"{team.name} has no budget any more.")
        return redirect(_page(team))
    initial = {"amount": found.amount, "policy": found.policy} if found else {"policy": Budget.Policy.NOTIFY}
    form = BudgetForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid() and _put(form, team, user.username):
        messages.success(request, f"The budget of {team.name} holds from now on.")
        return redirect(_page(team))
    context = {"team": team, "budget": found, "form": form, "page": _page(team)}
    return render(request, "usage/budget.html", context, status=422 if request.method == "POST" else 200)


def _page(team: Team) -> str:
    return f"/usage/?scope=team:{team.slug}"


def _put(form: BudgetForm, team: Team, actor: str) -> bool:
    try:
        budgets.put(team, form.cleaned_data["amount"], form.cleaned_data["policy"], actor=actor)
    except Invalid as problem:
        refusals.show(form, problem)
        return False
    return True
