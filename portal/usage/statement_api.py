"""REST API of statements: those of teams one leads, for administrators all."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from portal.accounts.access import signed_in
from portal.lib.rest import ULID, MoneySerializer, id_parameter, problems
from portal.usage import access
from portal.usage.models import Statement
from portal.usage.statements import exact, lines


class StatementLineSerializer(serializers.Serializer[Any]):
    """What one person held of one meter at one price. `quantity_seconds` times `price_per_hour` by 3600 is exact."""

    month = serializers.DateField(format="%Y-%m", help_text="Before that of the statement it is a correction.")
    user = serializers.CharField(help_text="Empty of what is everybody's in the team.")
    kind = serializers.CharField(help_text="`workspace`, `job` or `files`.")
    template = serializers.CharField(help_text="Empty of files.")
    meter = serializers.CharField(help_text="`cpu` in cores, `memory` and `storage` in GiB, `gpu` in devices.")
    gpu_class = serializers.CharField(help_text="Of what it ran on; empty without a GPU.")
    quantity_seconds = serializers.DecimalField(max_digits=None, decimal_places=4, source="held")
    quantity_hours = serializers.DecimalField(max_digits=None, decimal_places=10, source="hours")
    price_per_hour = serializers.DecimalField(max_digits=None, decimal_places=6)
    amount = serializers.DecimalField(max_digits=None, decimal_places=10, help_text="To ten digits.")


class StatementSerializer(serializers.ModelSerializer[Statement]):
    """What a team is billed for a month of UTC in one currency. It never changes."""

    team = serializers.CharField(source="team.slug")
    month = serializers.DateField(format="%Y-%m")
    total = MoneySerializer(source="money", help_text="Rounded once, half to even.")
    exact = serializers.SerializerMethodField(help_text="What `total` is rounded from, to ten digits.")
    rounding = serializers.SerializerMethodField(help_text="`total` less `exact`.")

    class Meta:
        model = Statement
        fields = ["id", "team", "month", "total", "exact", "rounding", "unsure", "made_at"]
        extra_kwargs = {
            "unsure": {"help_text": "Intervals without a known end, counted to the end of the month."},
        }

    def get_exact(self, statement: Statement) -> str:
        return f"{exact(statement):.10f}"

    def get_rounding(self, statement: Statement) -> str:
        return f"{statement.total - exact(statement):.10f}"


class StatementDetailSerializer(StatementSerializer):
    """The same with its lines: those of its month, then corrections."""

    lines = serializers.SerializerMethodField()

    class Meta(StatementSerializer.Meta):
        fields = [*StatementSerializer.Meta.fields, "lines"]

    @extend_schema_field(StatementLineSerializer(many=True))
    def get_lines(self, statement: Statement) -> Any:
        return StatementLineSerializer(lines(statement), many=True).data


@extend_schema(tags=["Usage"])
class Statements(GenericViewSet[Statement]):
    resource = "usage"
    serializer_class = StatementSerializer
    lookup_value_regex = ULID

    def get_queryset(self) -> QuerySet[Statement]:
        return access.statements(signed_in(self.request.user))

    @extend_schema(
        operation_id="list_statements",
        summary="What teams are billed, the newest first",
        responses={200: StatementSerializer(many=True), **problems(422)},
    )
    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(StatementSerializer(page or [], many=True).data)

    @extend_schema(
        operation_id="get_statement",
        summary="What a team is billed for a month, line by line",
        parameters=[id_parameter("statement")],
        responses={200: StatementDetailSerializer, **problems(404)},
    )
    def retrieve(self, request: Request, pk: str) -> Response:
        return Response(StatementDetailSerializer(access.statement_for(signed_in(request.user), pk)).data)
