"""REST API of workspaces."""

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from environments import access, actions
from environments.access import Right
from environments.answers import StepSerializer, WorkspaceSerializer, answers, steps_of
from environments.models import Template, Workspace
from environments.states import W, WorkspaceState, where_state
from portal.accounts.access import signed_in, teams_of
from portal.accounts.models import Team, User
from portal.compute.answers import LogQuery, LogSerializer, MetricsSerializer, log_answer, metrics_answer
from portal.lib.errors import Invalid
from portal.lib.rest import IDEMPOTENCY_KEY, ULID, AlwaysFirst, ClosedSerializer, Text, id_parameter, problems

ID = id_parameter("workspace")
LATER = frozenset({"secrets", "git", "volumes", "auto_stop_minutes"})
LAUNCH = OpenApiExample("Smallest", {"template": "jupyter-python"}, request_only=True)


class NewWorkspaceSerializer(ClosedSerializer):
    later = LATER

    template = Text(max_length=60, help_text="Slug of a template.")
    version = Text(required=False, allow_null=True, max_length=40, help_text="The newest, if not given.")
    size = Text(required=False, allow_null=True, max_length=40, help_text="The template's default, if not given.")
    team = Text(required=False, allow_null=True, max_length=50, help_text="Who pays: your first team, if not given.")
    name = Text(required=False, allow_blank=True, max_length=actions.NAME_LENGTH, help_text="Made up, if not given.")
    parameters = serializers.DictField(required=False, help_text="As the template's JSON Schema asks.")
    env = serializers.DictField(
        required=False,
        child=Text(allow_blank=True, trim_whitespace=False),
        help_text="Environment variables.",
    )


class WorkspaceChangeSerializer(ClosedSerializer):
    later = LATER

    name = Text(required=False, max_length=actions.NAME_LENGTH)
    size = Text(required=False, max_length=40, help_text="Only while it is stopped.")


class WorkspaceFilter(serializers.Serializer[Any]):
    state = serializers.ChoiceField(WorkspaceState.choices, required=False, help_text="Deleted ones only if asked for.")
    team = serializers.CharField(required=False, max_length=50)
    template = serializers.CharField(required=False, max_length=60)
    owner = serializers.ChoiceField(
        [("me", "Mine"), ("all", "All I may see")],
        default="me",
        help_text="Leads see their team's, administrators everyone's.",
    )


class Deletion(serializers.Serializer[Any]):
    volumes = serializers.ChoiceField(
        [("keep", "Keep the files"), ("delete", "Delete the files, for ever")], default="keep"
    )


def _checked(shape: type[serializers.Serializer[Any]], data: Any) -> dict[str, Any]:
    asked = shape(data=data)
    asked.is_valid(raise_exception=True)
    values: dict[str, Any] = asked.validated_data
    return values


def _matching(user: User, query: dict[str, Any]) -> QuerySet[Workspace]:
    """The workspaces a WorkspaceFilter asks for. Raises Invalid for a team or template the user cannot know."""
    rows = access.visible_to(user)
    if query["owner"] == "me":
        rows = rows.filter(owner=user)
    state = query.get("state")
    rows = rows.filter(where_state(W(state))) if state else rows.filter(deleted_at=None)
    if team := query.get("team"):
        known = Team.objects.all() if user.is_staff else teams_of(user)
        if not known.filter(slug=team).exists() and not rows.filter(team__slug=team).exists():
            raise Invalid.field("team", f"You are not in a team called “{team}”.")
        rows = rows.filter(team__slug=team)
    if template := query.get("template"):
        known_templates = Template.objects.all() if user.is_staff else access.templates_for(user)
        mine = rows.filter(version__template=template)
        if not known_templates.filter(slug=template).exists() and not mine.exists():
            raise Invalid.field("template", f"There is no template “{template}” for your teams.")
        rows = mine
    return rows


@extend_schema(tags=["Workspaces"])
class Workspaces(GenericViewSet[Workspace]):
    """All writes are actions; an object is reached only through access."""

    resource = "workspaces"
    serializer_class = WorkspaceSerializer
    queryset = Workspace.objects.none()
    lookup_value_regex = ULID
    ordering = ("-pk",)

    @property
    def throttle_scope(self) -> str | None:
        return "launch" if self.action == "create" else None

    @property
    def user(self) -> User:
        return signed_in(self.request.user)

    def _workspace(self, pk: str, right: Right = Right.VIEW) -> Workspace:
        return access.workspace_for(self.user, pk, right)

    def _answer(self, pk: str, status: int = 200) -> Response:
        """As it is now, whatever was done to it."""
        return Response(WorkspaceSerializer(answers([self._workspace(pk)])[0]).data, status=status)

    @extend_schema(
        operation_id="list_workspaces",
        summary="List workspaces",
        parameters=[WorkspaceFilter],
        responses={200: WorkspaceSerializer(many=True), **problems(422)},
    )
    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(_matching(self.user, _checked(WorkspaceFilter, request.query_params)))
        return self.get_paginated_response(WorkspaceSerializer(answers(page or []), many=True).data)

    @extend_schema(
        operation_id="create_workspace",
        summary="Create a workspace and start it",
        parameters=[IDEMPOTENCY_KEY],
        request=NewWorkspaceSerializer,
        responses={201: WorkspaceSerializer, **problems(400, 409, 422, 429)},
        examples=[LAUNCH],
    )
    def create(self, request: Request) -> Response:
        values = _checked(NewWorkspaceSerializer, request.data)
        environment = values.pop("env", None)
        workspace = actions.create(self.user, **values, environment=environment, actor=self.user.username)
        return self._answer(workspace.pk, 201)

    @extend_schema(
        operation_id="get_workspace",
        summary="One workspace",
        parameters=[ID],
        responses={200: WorkspaceSerializer, **problems(404)},
    )
    def retrieve(self, request: Request, pk: str) -> Response:
        return self._answer(pk)

    @extend_schema(
        operation_id="change_workspace",
        summary="Rename it; change its size while it is stopped",
        parameters=[ID],
        request=WorkspaceChangeSerializer,
        responses={200: WorkspaceSerializer, **problems(400, 404, 409, 422)},
    )
    @transaction.atomic
    def partial_update(self, request: Request, pk: str) -> Response:
        workspace = self._workspace(pk, Right.MANAGE)
        values = _checked(WorkspaceChangeSerializer, request.data)
        if "name" in values:
            actions.rename(workspace, values["name"], actor=self.user.username)
        if "size" in values:
            actions.resize(workspace, values["size"], actor=self.user.username)
        return self._answer(pk)

    @extend_schema(
        operation_id="delete_workspace",
        summary="Delete it",
        parameters=[ID, Deletion],
        responses={202: WorkspaceSerializer, **problems(404, 409, 422)},
    )
    def destroy(self, request: Request, pk: str) -> Response:
        """It stops, and its record stays. Only its owner can also delete the files."""
        files = _checked(Deletion, request.query_params)["volumes"] == "delete"
        workspace = self._workspace(pk, Right.USE if files else Right.MANAGE)
        actions.delete(workspace, delete_files=files, actor=self.user.username)
        return self._answer(pk, 202)

    @extend_schema(
        operation_id="start_workspace",
        summary="Start it again with its files",
        parameters=[ID],
        request=None,
        responses={202: WorkspaceSerializer, **problems(404, 409, 422)},
    )
    @action(detail=True, methods=["post"])
    def start(self, request: Request, pk: str) -> Response:
        """Starting what starts or runs is no error."""
        actions.start(self._workspace(pk, Right.USE), actor=self.user.username)
        return self._answer(pk, 202)

    @extend_schema(
        operation_id="stop_workspace",
        summary="Stop or cancel it; its files stay",
        parameters=[ID],
        request=None,
        responses={202: WorkspaceSerializer, **problems(404, 409)},
    )
    @action(detail=True, methods=["post"])
    def stop(self, request: Request, pk: str) -> Response:
        """Stopping what is stopped is no error."""
        actions.stop(self._workspace(pk, Right.MANAGE), actor=self.user.username)
        return self._answer(pk, 202)

    @extend_schema(
        operation_id="restart_workspace",
        summary="A fresh container with the same files",
        parameters=[ID],
        request=None,
        responses={202: WorkspaceSerializer, **problems(404, 409)},
    )
    @action(detail=True, methods=["post"])
    def restart(self, request: Request, pk: str) -> Response:
        actions.restart(self._workspace(pk, Right.MANAGE), actor=self.user.username)
        return self._answer(pk, 202)

    @extend_schema(
        operation_id="get_workspace_timeline",
        summary="The steps of its latest start",
        parameters=[ID],
        responses={200: StepSerializer(many=True), **problems(404, 422)},
    )
    @action(detail=True, ordering=("pk",))
    def timeline(self, request: Request, pk: str) -> Response:
        """Oldest first, with the seconds each stage took."""
        steps = self.paginate_queryset(steps_of(self._workspace(pk)))
        return self.get_paginated_response(StepSerializer(steps or [], many=True).data)

    @extend_schema(
        operation_id="get_workspace_logs",
        summary="The log of its latest start",
        parameters=[ID, LogQuery],
        responses={
            (200, "application/json"): LogSerializer,
            (200, "text/plain"): OpenApiTypes.STR,
            **problems(404, 422),
        },
    )
    @action(detail=True, content_negotiation_class=AlwaysFirst, pagination_class=None)
    def logs(self, request: Request, pk: str) -> HttpResponseBase:
        query = _checked(LogQuery, request.query_params)
        return log_answer(self._workspace(pk).allocation, query)

    @extend_schema(
        operation_id="get_workspace_metrics",
        summary="CPU and memory: used against reserved",
        parameters=[ID],
        responses={200: MetricsSerializer, **problems(404)},
    )
    @action(detail=True)
    def metrics(self, request: Request, pk: str) -> Response:
        return Response(MetricsSerializer(metrics_answer(self._workspace(pk).allocation)).data)
