"""REST API of budgets: look at those of one's teams and one's own; set them as an administrator or a lead."""

from typing import Any

from django.db.models import Q, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from portal.accounts.access import leads, signed_in
from portal.accounts.models import User
from portal.lib.errors import Invalid
from portal.lib.rest import ClosedSerializer, MoneySerializer, Text, checked, problems
from portal.usage import access, budgets, projects
from portal.usage.models import Budget


class NewBudgetSerializer(ClosedSerializer):
    team = Text(max_length=50)
    user = Text(required=False, allow_null=True, max_length=150, help_text="Username: of this person in the team only.")
    project = Text(
        required=False, allow_blank=True, max_length=projects.LENGTH, help_text="Of this project of the team only."
    )
    amount = serializers.DecimalField(max_digits=12, decimal_places=2, allow_null=True, help_text="null removes it.")
    policy = serializers.ChoiceField(Budget.Policy.choices, default=Budget.Policy.NOTIFY)


class BudgetSerializer(serializers.Serializer[Any]):
    """What a team, or a person or project in it, may spend each month, and how this month stands."""

    team = serializers.CharField()
    user = serializers.CharField(allow_null=True, help_text="The person whose it is; null for a team or a project.")
    project = serializers.CharField(help_text="Empty for a team or a person.")
    amount = MoneySerializer()
    policy = serializers.ChoiceField(Budget.Policy.choices)
    thresholds = serializers.ListField(child=serializers.IntegerField(), help_text="Percent at which people are told.")
    spent = MoneySerializer()
    percent = serializers.IntegerField()
    forecast = MoneySerializer(help_text="For the whole month, give or take `band` in nine of ten months.")
    band = MoneySerializer()
    exhausted_on = serializers.DateField(allow_null=True, help_text="When the forecast reaches it, in this month.")


class BudgetsSerializer(serializers.Serializer[Any]):
    results = BudgetSerializer(many=True)


@extend_schema(tags=["Usage"])
class Budgets(GenericAPIView[Any]):
    """One's own and those of teams one leads; administrators see all."""

    resource = "usage"
    serializer_class = BudgetsSerializer
    pagination_class = None

    @extend_schema(
        operation_id="list_budgets", summary="Budgets of this month", responses={200: BudgetsSerializer, **problems()}
    )
    def get(self, request: Request) -> Response:
        found = [_row(*one) for one in budgets.stand(_seen_by(signed_in(request.user)))]
        return Response(BudgetsSerializer({"results": found}).data)

    @extend_schema(
        operation_id="put_budget",
        summary="Set or remove a budget",
        request=NewBudgetSerializer,
        responses={200: BudgetsSerializer, **problems(422)},
    )
    def put(self, request: Request) -> Response:
        """Of a team for administrators, of a person or project in it for its leads too."""
        user = signed_in(request.user)
        asked = checked(NewBudgetSerializer, request.data)
        username, project = asked.get("user"), projects.checked(asked.get("project", ""))
        team = access.team_to_budget(user, asked["team"], whole=not (username or project))
        of: dict[str, Any] = {"user": _person(username), "project": project}
        if asked["amount"] is None:
            budgets.remove(team, **of, actor=user.username)
        else:
            budgets.put(team, asked["amount"], asked["policy"], **of, actor=user.username)
        return self.get(request)


def _person(username: str | None) -> User | None:
    if not username:
        return None
    found = User.objects.filter(username=username).first()
    if found is None:
        raise Invalid.field("user", f"There is nobody called “{username}”.")
    return found


def _seen_by(user: User) -> QuerySet[Budget]:
    rows = Budget.objects.select_related("team", "user")
    return rows if user.is_staff else rows.filter(Q(team__in=leads(user)) | Q(user=user))


def _row(budget: Budget, standing: budgets.Standing) -> dict[str, Any]:
    return {
        "team": budget.team.slug,
        "user": budget.user.username if budget.user else None,
        "project": budget.project,
        "amount": standing.amount,
        "policy": budget.policy,
        "thresholds": list(budgets.LEVELS),
        "spent": standing.spent,
        "percent": standing.percent,
        "forecast": standing.forecast,
        "band": standing.band,
        "exhausted_on": standing.exhausted_on,
    }
