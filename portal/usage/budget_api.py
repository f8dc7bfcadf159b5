"""REST API of budgets: look at those of one's teams, and set them as an administrator."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from portal.accounts.access import leads, signed_in
from portal.accounts.models import Team, User
from portal.lib.errors import Forbidden, Invalid
from portal.lib.rest import ClosedSerializer, MoneySerializer, Text, checked, problems
from portal.usage import budgets
from portal.usage.models import Budget


class NewBudgetSerializer(ClosedSerializer):
    team = Text(max_length=50)
    amount = serializers.DecimalField(max_digits=12, decimal_places=2, allow_null=True, help_text="null removes it.")
    policy = serializers.ChoiceField(Budget.Policy.choices, default=Budget.Policy.NOTIFY)


class BudgetSerializer(serializers.Serializer[Any]):
    """A team's budget for each month, and how this month stands."""

    team = serializers.CharField()
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
    """Of teams one leads; administrators see and set all."""

    resource = "usage"
    serializer_class = BudgetsSerializer
    pagination_class = None

    @extend_schema(
        operation_id="list_budgets", summary="Budgets of this month", responses={200: BudgetsSerializer, **problems()}
    )
    def get(self, request: Request) -> Response:
        return Response(BudgetsSerializer({"results": _rows(signed_in(request.user))}).data)

    @extend_schema(
        operation_id="put_budget",
        summary="Set or remove a team's budget; for administrators",
        request=NewBudgetSerializer,
        responses={200: BudgetsSerializer, **problems(422)},
    )
    def put(self, request: Request) -> Response:
        user = signed_in(request.user)
        if not user.is_staff:
            raise Forbidden("Only administrators set budgets.")
        asked = checked(NewBudgetSerializer, request.data)
        team = Team.objects.filter(slug=asked["team"]).first()
        if team is None:
            raise Invalid.field("team", f"There is no team called “{asked['team']}”.")
        if asked["amount"] is None:
            budgets.remove(team, actor=user.username)
        else:
            budgets.put(team, asked["amount"], asked["policy"], actor=user.username)
        return self.get(request)


def _rows(user: User) -> list[dict[str, Any]]:
    rows = Budget.objects.select_related("team").order_by("team__slug")
    found = rows if user.is_staff else rows.filter(team__in=leads(user))
    return [_row(budget, budgets.standing(budget)) for budget in found]


def _row(budget: Budget, standing: budgets.Standing) -> dict[str, Any]:
    return {
        "team": budget.team.slug,
        "amount": standing.amount,
        "policy": budget.policy,
        "thresholds": list(budgets.LEVELS),
        "spent": standing.spent,
        "percent": standing.percent,
        "forecast": standing.forecast,
        "band": standing.band,
        "exhausted_on": standing.exhausted_on,
    }
