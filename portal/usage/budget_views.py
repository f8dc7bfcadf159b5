"""The page of a team's budgets, and of those of its people and projects: how they stand, setting and removing them."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from portal.accounts.access import signed_in
from portal.accounts.models import Team, User
from portal.lib import refusals
from portal.lib.errors import Forbidden, Invalid
from portal.usage import access, budgets
from portal.usage.models import Budget
from portal.usage.project_field import project_field

MOST = 200
"""So many people are offered, and budgets shown."""


class BudgetForm(forms.Form):
    user = forms.ChoiceField(label="Person", required=False)
    amount = forms.DecimalField(label="Amount for a month", max_digits=12, decimal_places=2)
    policy = forms.ChoiceField(label="When it is used up", choices=Budget.Policy.choices, widget=forms.RadioSelect)

    field_order = ("user", "project", "amount", "policy")

    def __init__(self, *args: Any, team: Team, whole: bool, **kwargs: Any) -> None:
        """`whole`: that of all of the team may be set."""
        super().__init__(*args, **kwargs)
        people = User.objects.filter(memberships__team=team, is_active=True).order_by("username")[:MOST]
        choice = self.fields["user"]
        assert isinstance(choice, forms.ChoiceField)
        choice.choices = [("", "everybody"), *((one.username, one.get_full_name()) for one in people)]
        self.fields["project"] = project_field([team])
        self.fields["project"].help_text = "Left empty, whatever it is for." + (
            " Without a person either, the budget is that of the team." if whole else ""
        )
        self.order_fields(self.field_order)

    def of(self, team: Team) -> dict[str, Any]:
        """Whose it is, as the actions ask."""
        person = User.objects.filter(username=self.cleaned_data["user"]).first()
        return {"user": person, "project": self.cleaned_data["project"]}


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def budget(request: HttpRequest, slug: str) -> HttpResponse:
    """POST sets one, or with `remove`, the number of one, takes it away."""
    user = signed_in(request.user)
    team = access.budget_team(user, slug)
    rows = Budget.objects.filter(team=team).select_related("team", "user")
    if request.method == "POST" and "remove" in request.POST:
        _remove(request, user, rows.filter(pk=_number(request.POST["remove"])).first())
        return redirect(request.path)
    form = BudgetForm(request.POST or None, team=team, whole=user.is_staff, initial={"policy": Budget.Policy.NOTIFY})
    if request.method == "POST" and form.is_valid() and (made := _put(form, team, user)):
        messages.success(request, f"The budget of {made.whom} holds from now on.")
        return redirect(request.path)
    context = {"team": team, "stand": budgets.stand(rows[:MOST]), "form": form, "page": f"/usage/?scope=team:{slug}"}
    return render(request, "usage/budget.html", context, status=422 if request.method == "POST" else 200)


def _number(text: str) -> int:
    """0 where it is none."""
    return int(text) if text.isdecimal() and len(text) < 19 else 0


def _remove(request: HttpRequest, user: User, found: Budget | None) -> None:
    if found is None:
        messages.info(request, "That budget is gone already.")
        return
    access.team_to_budget(user, found.team.slug, whole=found.whole)
    budgets.remove(found.team, user=found.user, project=found.project, actor=user.username)
    messages.success(request, f"There is no budget of {found.whom} any more.")


def _put(form: BudgetForm, team: Team, user: User) -> Budget | None:
    of, values = form.of(team), form.cleaned_data
    try:
        access.team_to_budget(user, team.slug, whole=not any(of.values()))
        return budgets.put(team, values["amount"], values["policy"], **of, actor=user.username)
    except Forbidden as problem:
        form.add_error("user", f"{problem.detail} Choose a person or name a project.")
    except Invalid as problem:
        refusals.show(form, problem)
    return None
