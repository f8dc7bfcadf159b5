"""REST API of usage: seconds and cost by time and group."""

from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from portal.accounts.access import signed_in
from portal.lib import clock
from portal.lib.errors import Invalid
from portal.lib.money import Money
from portal.lib.rest import MoneySerializer, checked, problems
from portal.usage import access, periods, reports
from portal.usage.periods import INTERVALS, Period
from portal.usage.reports import GROUPS


class UsageQuery(serializers.Serializer[Any]):
    scope = serializers.CharField(default=access.MINE, max_length=60)
    to = serializers.DateField(required=False)
    group_by = serializers.CharField(required=False, default="", max_length=200)
    interval = serializers.ChoiceField(INTERVALS, default="day")

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {"from": serializers.DateField(required=False), **super().get_fields()}


class UsageSerializer(serializers.Serializer[Any]):
    """What one group held and cost in one step of time."""

    start = serializers.DateTimeField()
    group = serializers.DictField(child=serializers.CharField(), help_text="By the names in `group_by`.")
    cost = MoneySerializer()
    cpu_core_seconds = serializers.FloatField()
    memory_gib_seconds = serializers.FloatField()
    gpu_seconds = serializers.FloatField()
    cpu_core_seconds_measured = serializers.FloatField(help_text="Of these, so much was measured.")
    cpu_core_seconds_used = serializers.FloatField(help_text="Of what was measured, so much was at work.")
    gpu_seconds_measured = serializers.FloatField()
    gpu_seconds_used = serializers.FloatField()
    storage_gib_seconds = serializers.FloatField(help_text="Of files.")


class UsageAnswerSerializer(serializers.Serializer[Any]):
    results = UsageSerializer(many=True)
    total = MoneySerializer()


@extend_schema(tags=["Usage"])
class Usage(GenericAPIView[Any]):
    resource = "usage"
    serializer_class = UsageAnswerSerializer
    pagination_class = None

    @extend_schema(
        operation_id="get_usage",
        summary="What was held and what it cost",
        parameters=[
            OpenApiParameter(
                "scope", str, description="`me`, `team:` and a slug for its leads, `all` for administrators."
            ),
            OpenApiParameter("from", str, description="First day, UTC; by default the first of this month."),
            OpenApiParameter("to", str, description="Last day, UTC; by default today."),
            OpenApiParameter("group_by", str, description=f"Of {', '.join(GROUPS)}, with commas between."),
            OpenApiParameter("interval", str, enum=list(INTERVALS)),
        ],
        responses={200: UsageAnswerSerializer, **problems(422)},
    )
    @timezone.override(UTC)
    def get(self, request: Request) -> HttpResponse:
        """Open intervals count up to now. Amounts are exact until they are written here, with four digits."""
        asked = checked(UsageQuery, request.query_params)
        choice = access.chosen(access.choices(signed_in(request.user)), asked["scope"])
        groups = _groups(asked["group_by"])
        today = clock.now().astimezone(UTC).date()
        period = Period(asked.get("from") or today.replace(day=1), asked.get("to") or today)
        if period.last < period.first:
            raise Invalid.field("to", "The last day comes before the first.")
        found = reports.sums(choice.scope, periods.buckets(period, asked["interval"]), groups)
        rows = [_row(start, groups, values, one) for (start, values), one in sorted(found.items())]
        whole = Money(reports.total(found.values()).cost, settings.CURRENCY)
        return Response(UsageAnswerSerializer({"results": rows, "total": whole}).data)


def _groups(names: str) -> list[str]:
    """Each once. Raises Invalid."""
    groups = [name.strip() for name in names.split(",") if name.strip()]
    if unknown := [name for name in groups if name not in GROUPS]:
        raise Invalid.field("group_by", f"There is no “{unknown[0][:40]}”. Choose of: {', '.join(GROUPS)}.")
    return list(dict.fromkeys(groups))


def _row(start: datetime, groups: list[str], values: tuple[str, ...], one: reports.Sum) -> dict[str, Any]:
    seconds = {meter: hours * 3600 for meter, hours in one.hours.items()}
    return {
        "start": start,
        "group": dict(zip(groups, values, strict=True)),
        "cost": Money(one.cost, settings.CURRENCY),
        "cpu_core_seconds": seconds.get("cpu", 0),
        "memory_gib_seconds": seconds.get("memory", 0),
        "gpu_seconds": seconds.get("gpu", 0),
        "cpu_core_seconds_measured": one.measured["cpu"],
        "cpu_core_seconds_used": one.used["cpu"],
        "gpu_seconds_measured": one.measured["gpu"],
        "gpu_seconds_used": one.used["gpu"],
        "storage_gib_seconds": seconds.get("storage", 0),
    }
