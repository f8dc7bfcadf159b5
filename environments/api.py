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

from environments import access, actions, changes
from environments.access import Right
from environments.answers import StepSerializer, WorkspaceSerializer, answers, steps_of
from environments.checks import NAME_LENGTH
from environments.launch import Launch
from environments.models import Template, Workspace
from environments.repositories import REF_LENGTH, URL_LENGTH
from environments.schedule_api import ScheduleActions
from environments.states import W, WorkspaceState, where_state
from portal.accounts.access import of_team, signed_in
from portal.accounts.models import User
from portal.compute.answers import LogQuery, LogSerializer, MetricsSerializer, log_answer, metrics_answer
from portal.lib.errors import Invalid
from portal.lib.rest import IDEMPOTENCY_KEY, ULID, AlwaysFirst, ClosedSerializer, Text, checked, id_parameter, problems
from portal.usage import projects

ID = id_parameter("workspace")
SECRETS = "Names of secrets of yours or of the team that pays, delivered at each start from the next one on."
AUTO_STOP = "Stop it after so many minutes without use; null is what its template says, which also sets the limits."
PROJECT = f"What its cost is for, such as `{projects.EXAMPLE}`; empty for none."
LAUNCH = OpenApiExample("Smallest", {"template": "jupyter-python"}, request_only=True)


class GitSerializer(ClosedSerializer):
    url = Text(max_length=URL_LENGTH, help_text="`https://…`, `ssh://…` or `git@host:path`, without a password.")
    ref = Text(required=False, allow_blank=True, max_length=REF_LENGTH, help_text="Branch, tag or commit.")


class NewWorkspaceSerializer(ClosedSerializer):
    template = Text(max_length=60, help_text="Slug of a template.")
    version = Text(required=False, allow_null=True, max_length=40, help_text="The newest, if not given.")
    size = Text(required=False, allow_null=True, max_length=40, help_text="The template's default, if not given.")
    team = Text(required=False, allow_null=True, max_length=50, help_text="Who pays: your first team, if not given.")
    project = Text(required=False, allow_blank=True, max_length=projects.LENGTH, help_text=PROJECT)
    name = Text(required=False, allow_blank=True, max_length=NAME_LENGTH, help_text="Made up, if not given.")
    parameters = serializers.DictField(required=False, help_text="As the template's JSON Schema asks.")
    env = serializers.DictField(
        required=False,
        child=Text(allow_blank=True, trim_whitespace=False),
        help_text="Environment variables.",
    )
    git = GitSerializer(required=False, help_text="Cloned into the home while the workspace starts.")
    volumes = serializers.ListField(
        required=False,
        max_length=50,
        child=Text(max_length=60),
        help_text="Names of datasets, and `job-<id>` of jobs you may read, to mount read-only at `/data/<name>`. "
        "Home and team folders come by themselves.",
    )
    secrets = serializers.ListField(required=False, child=Text(max_length=100), help_text=SECRETS)
    auto_stop_minutes = serializers.IntegerField(required=False, allow_null=True, help_text=AUTO_STOP)


class WorkspaceChangeSerializer(ClosedSerializer):
    name = Text(required=False, max_length=NAME_LENGTH)
    size = Text(required=False, max_length=40, help_text="Only while it is stopped.")
    version = Text(
        required=False,
        max_length=40,
        help_text="Another version of its template; only while it is stopped, by its owner.",
    )
    secrets = serializers.ListField(
        required=False, child=Text(max_length=100), help_text=f"{SECRETS} Only its owner chooses."
    )
    parameters = serializers.DictField(required=False, help_text="All of them; only while it is stopped, by its owner.")
    env = serializers.DictField(
        required=False,
        child=Text(allow_blank=True, trim_whitespace=False),
        help_text="All of them; only while it is stopped, by its owner.",
    )
    project = Text(
        required=False,
        allow_blank=True,
        max_length=projects.LENGTH,
        help_text=f"{PROJECT} Only while it is stopped, by its owner.",
    )
    auto_stop_minutes = serializers.IntegerField(required=False, allow_null=True, help_text=AUTO_STOP)


class ExtensionSerializer(ClosedSerializer):
    until = serializers.DateTimeField(
        required=False, help_text="For as long as the idle rule waits anew, if not given. The template sets a limit."
    )


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


def launch_in(values: dict[str, Any]) -> Launch:
    """What the values of a NewWorkspaceSerializer ask for."""
    git = {f"git_{name}": value for name, value in values.get("git", {}).items()}
    return Launch(**{name: value for name, value in values.items() if name != "git"}, **git)


def _matching(user: User, query: dict[str, Any]) -> QuerySet[Workspace]:
    """The workspaces a WorkspaceFilter asks for. Raises Invalid for a team or template the user cannot know."""
    rows = access.visible_to(user)
    if query["owner"] == "me":
        rows = rows.filter(owner=user)
    state = query.get("state")
    rows = rows.filter(where_state(W(state))) if state else rows.filter(deleted_at=None)
    if team := query.get("team"):
        rows = of_team(user, rows, team)
    if template := query.get("template"):
        known_templates = Template.objects.all() if user.is_staff else access.templates_for(user)
        mine = rows.filter(version__template=template)
        if not known_templates.filter(slug=template).exists() and not mine.exists():
            raise Invalid.field("template", f"There is no template “{template}” for your teams.")
        rows = mine
    return rows


@extend_schema(tags=["Workspaces"])
class Workspaces(ScheduleActions, GenericViewSet[Workspace]):
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
        page = self.paginate_queryset(_matching(self.user, checked(WorkspaceFilter, request.query_params)))
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
        asked = launch_in(checked(NewWorkspaceSerializer, request.data))
        workspace = actions.create(self.user, asked, actor=self.user.username)
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
        summary="Rename it; change when it stops by itself; its size, version and settings while it is stopped",
        parameters=[ID],
        request=WorkspaceChangeSerializer,
        responses={200: WorkspaceSerializer, **problems(400, 404, 409, 422)},
    )
    @transaction.atomic
    def partial_update(self, request: Request, pk: str) -> Response:
        values = checked(WorkspaceChangeSerializer, request.data)
        settings = {name: values[name] for name in ("parameters", "env", "project") if name in values}
        owners = settings or values.keys() & {"version", "secrets"}
        workspace = self._workspace(pk, Right.OWN if owners else Right.MANAGE)
        if "name" in values:
            actions.rename(workspace, values["name"], actor=self.user.username)
        if "secrets" in values:
            actions.choose_secrets(workspace, values["secrets"], actor=self.user.username)
        if "size" in values:
            actions.resize(workspace, values["size"], actor=self.user.username)
        if "version" in values:
            parameters = settings.pop("parameters", None)
            actions.update_version(workspace, values["version"], parameters, actor=self.user.username)
        if settings:
            changes.reconfigure(workspace, **settings, actor=self.user.username)
        if "auto_stop_minutes" in values:
            actions.set_auto_stop(workspace, values["auto_stop_minutes"], actor=self.user.username)
        return self._answer(pk)

    @extend_schema(
        operation_id="delete_workspace",
        summary="Delete it",
        parameters=[ID, Deletion],
        responses={202: WorkspaceSerializer, **problems(404, 409, 422)},
    )
    def destroy(self, request: Request, pk: str) -> Response:
        """It stops, and its record stays. Only its owner can also delete the files."""
        files = checked(Deletion, request.query_params)["volumes"] == "delete"
        workspace = self._workspace(pk, Right.OWN if files else Right.MANAGE)
        actions.delete(workspace, delete_files=files, actor=self.user.username)
        return self._answer(pk, 202)

    @extend_schema(
        operation_id="start_workspace",
        summary="Start it again with its files, or resume it",
        parameters=[ID],
        request=None,
        responses={202: WorkspaceSerializer, **problems(404, 409, 422)},
    )
    @action(detail=True, methods=["post"])
    def start(self, request: Request, pk: str) -> Response:
        """Starting what starts or runs is no error."""
        actions.start(self._workspace(pk, Right.OWN), actor=self.user.username)
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
        operation_id="suspend_workspace",
        summary="Freeze it where it is",
        parameters=[ID],
        request=None,
        responses={202: WorkspaceSerializer, **problems(404, 409)},
    )
    @action(detail=True, methods=["post"])
    def suspend(self, request: Request, pk: str) -> Response:
        """It keeps its memory and its place, costs what it cost, and uses no CPU. Suspending it twice is no error."""
        actions.suspend(self._workspace(pk, Right.MANAGE), actor=self.user.username)
        return self._answer(pk, 202)

    @extend_schema(
        operation_id="resume_workspace",
        summary="Let it go on where it was",
        parameters=[ID],
        request=None,
        responses={202: WorkspaceSerializer, **problems(404, 409)},
    )
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: str) -> Response:
        """In under a second. Resuming what starts or runs is no error."""
        actions.resume(self._workspace(pk, Right.ENTER), actor=self.user.username)
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
        operation_id="extend_workspace",
        summary="Keep it running, idle or not",
        parameters=[ID],
        request=ExtensionSerializer,
        responses={202: WorkspaceSerializer, **problems(400, 404, 409, 422)},
    )
    @action(detail=True, methods=["post"])
    def extend(self, request: Request, pk: str) -> Response:
        """Its idle rule does not stop it before then. Where it never stops by itself, nothing changes."""
        workspace = self._workspace(pk, Right.MANAGE)
        until = checked(ExtensionSerializer, request.data).get("until")
        actions.extend(workspace, until, actor=self.user.username)
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
        query = checked(LogQuery, request.query_params)
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
