"""REST API of a workspace's schedule."""

from collections.abc import Callable
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from environments import scheduling
from environments.access import Right
from environments.models import Schedule, Workspace
from environments.schedules import DAYS, upcoming
from portal.accounts.access import signed_in
from portal.lib import clock
from portal.lib.errors import NotFound
from portal.lib.rest import ClosedSerializer, Text, id_parameter, problems

ID = id_parameter("workspace")
TIME = {"input_formats": ["%H:%M"], "format": "%H:%M"}


class NewScheduleSerializer(ClosedSerializer):
    days = serializers.ListField(child=serializers.ChoiceField(DAYS), max_length=7)
    start = serializers.TimeField(required=False, allow_null=True, help_text="Such as `08:00`.", **TIME)  # type: ignore[arg-type]
    stop = serializers.TimeField(
        required=False,
        allow_null=True,
        help_text="On the morning after, if not later than `start`.",
        **TIME,  # type: ignore[arg-type]
    )
    time_zone = Text(max_length=60, help_text="An IANA name such as `Europe/Berlin`.")


class EventSerializer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    what = serializers.ChoiceField(["start", "stop"])


class ScheduleSerializer(serializers.Serializer[Schedule]):
    """When a workspace starts and stops by the week."""

    days = serializers.ListField(child=serializers.ChoiceField(DAYS))
    start = serializers.TimeField(allow_null=True, format="%H:%M")
    stop = serializers.TimeField(allow_null=True, format="%H:%M")
    time_zone = serializers.CharField(source="zone")
    next = serializers.SerializerMethodField(help_text="The next two.")
    note = serializers.CharField(help_text="Why the last start or stop did not happen; empty when it did.")

    def get_next(self, row: Schedule) -> list[dict[str, Any]]:
        return list(EventSerializer(upcoming(row.plan, clock.now()), many=True).data)


class ScheduleActions:
    """A part of the workspaces' view set."""

    _workspace: Callable[..., Workspace]

    @extend_schema(
        operation_id="get_workspace_schedule",
        summary="When it starts and stops by the week",
        parameters=[ID],
        responses={200: ScheduleSerializer, **problems(404)},
    )
    @action(detail=True)
    def schedule(self, request: Request, pk: str) -> Response:
        row = Schedule.objects.filter(workspace=self._workspace(pk, Right.VIEW)).first()
        if row is None:
            raise NotFound("This workspace has no schedule.")
        return Response(ScheduleSerializer(row).data)

    @extend_schema(
        operation_id="set_workspace_schedule",
        summary="Start and stop it by the week",
        parameters=[ID],
        request=NewScheduleSerializer,
        responses={200: ScheduleSerializer, **problems(400, 404, 409, 422)},
    )
    @schedule.mapping.put
    def set_schedule(self, request: Request, pk: str) -> Response:
        workspace = self._workspace(pk, Right.OWN)
        asked = NewScheduleSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        values = asked.validated_data
        plan = scheduling.checked(values["days"], values.get("start"), values.get("stop"), values["time_zone"])
        return Response(
            ScheduleSerializer(scheduling.set_schedule(workspace, plan, actor=signed_in(request.user).username)).data
        )

    @extend_schema(
        operation_id="clear_workspace_schedule",
        summary="Forget its schedule",
        parameters=[ID],
        responses={204: None, **problems(404)},
    )
    @schedule.mapping.delete
    def clear_schedule(self, request: Request, pk: str) -> Response:
        scheduling.clear_schedule(self._workspace(pk, Right.OWN), actor=signed_in(request.user).username)
        return Response(status=204)
