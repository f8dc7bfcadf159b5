"""REST API of saved configurations."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from environments import access, actions, configurations
from environments.access import Right
from environments.answers import RepositorySerializer, WorkspaceSerializer, answers
from environments.api import NewWorkspaceSerializer, launch_in
from environments.models import Configuration
from portal.accounts.access import signed_in
from portal.accounts.models import User
from portal.lib.errors import Invalid
from portal.lib.rest import IDEMPOTENCY_KEY, ULID, ClosedSerializer, Text, checked, id_parameter, problems

ID = id_parameter("configuration")


class NewConfigurationSerializer(NewWorkspaceSerializer):
    """A launch under a name; one of the same name is replaced."""

    name = Text(max_length=configurations.NAME_LENGTH, help_text="Of the configuration.")


class ConfigurationChangeSerializer(ClosedSerializer):
    name = Text(max_length=configurations.NAME_LENGTH)


class ConfigurationSerializer(serializers.Serializer[Any]):
    """What POST /workspaces/ would be asked for; null is the default of then."""

    id = serializers.CharField(source="pk")
    name = serializers.CharField()
    template = serializers.CharField(source="template_id")
    version = serializers.CharField(source="asked.version", allow_null=True)
    size = serializers.CharField(source="asked.size", allow_null=True)
    team = serializers.CharField(source="asked.team", allow_null=True)
    project = serializers.CharField(source="asked.project")
    parameters = serializers.DictField(source="asked.parameters")
    env = serializers.DictField(source="asked.env", child=serializers.CharField())
    secrets = serializers.ListField(source="asked.secrets", child=serializers.CharField())
    git = RepositorySerializer(allow_null=True)
    volumes = serializers.ListField(source="asked.volumes", child=serializers.CharField())
    auto_stop_minutes = serializers.IntegerField(source="asked.auto_stop_minutes", allow_null=True)
    preferred = serializers.BooleanField(help_text="Whether the launch page of its template begins with it.")
    created_at = serializers.DateTimeField()
    used_at = serializers.DateTimeField()

    def to_representation(self, instance: Any) -> dict[str, Any]:
        asked = configurations.launch_of(instance)
        git = {"url": asked.git_url, "ref": asked.git_ref} if asked.git_url else None
        instance.asked, instance.git = asked, git
        return super().to_representation(instance)


def _named(problem: Invalid) -> Invalid:
    """The page calls its field `configuration`, because it also has a workspace's name."""
    fields = {"name" if name == "configuration" else name: said for name, said in problem.fields.items()}
    return Invalid(problem.detail, fields=fields, next_step=problem.next_step)


@extend_schema(tags=["Workspaces"])
class Configurations(GenericViewSet[Configuration]):
    """A person's own; nobody else knows of them."""

    resource = "workspaces"
    serializer_class = ConfigurationSerializer
    queryset = Configuration.objects.none()
    lookup_value_regex = ULID
    ordering = ("-pk",)

    @property
    def throttle_scope(self) -> str | None:
        return "launch" if self.action == "launch" else None

    @property
    def user(self) -> User:
        return signed_in(self.request.user)

    def get_queryset(self) -> QuerySet[Configuration]:
        return access.configurations_of(self.user)

    @extend_schema(
        operation_id="list_configurations",
        summary="List saved configurations",
        responses={200: ConfigurationSerializer(many=True), **problems(422)},
    )
    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(ConfigurationSerializer(page or [], many=True).data)

    @extend_schema(
        operation_id="save_configuration",
        summary="Save a launch under a name",
        parameters=[IDEMPOTENCY_KEY],
        request=NewConfigurationSerializer,
        responses={201: ConfigurationSerializer, **problems(400, 409, 422)},
    )
    def create(self, request: Request) -> Response:
        """Checked as a launch would be. One of the same name is replaced."""
        values = checked(NewConfigurationSerializer, request.data)
        try:
            saved = configurations.save(self.user, values["name"], launch_in(values), actor=self.user.username)
        except Invalid as problem:
            raise _named(problem) from problem
        return Response(ConfigurationSerializer(saved).data, status=201)

    @extend_schema(
        operation_id="get_configuration",
        summary="One saved configuration",
        parameters=[ID],
        responses={200: ConfigurationSerializer, **problems(404)},
    )
    def retrieve(self, request: Request, pk: str) -> Response:
        return Response(ConfigurationSerializer(access.configuration_for(self.user, pk)).data)

    @extend_schema(
        operation_id="rename_configuration",
        summary="Rename it",
        parameters=[ID],
        request=ConfigurationChangeSerializer,
        responses={200: ConfigurationSerializer, **problems(400, 404, 422)},
    )
    def partial_update(self, request: Request, pk: str) -> Response:
        saved = access.configuration_for(self.user, pk)
        values = checked(ConfigurationChangeSerializer, request.data)
        try:
            renamed = configurations.rename(saved, values["name"], actor=self.user.username)
        except Invalid as problem:
            raise _named(problem) from problem
        return Response(ConfigurationSerializer(renamed).data)

    @extend_schema(
        operation_id="delete_configuration",
        summary="Delete it",
        parameters=[ID],
        responses={204: None, **problems(404)},
    )
    def destroy(self, request: Request, pk: str) -> Response:
        """What was launched from it stays as it is."""
        configurations.delete(access.configuration_for(self.user, pk), actor=self.user.username)
        return Response(status=204)

    @extend_schema(
        operation_id="launch_configuration",
        summary="Create a workspace from it and start it",
        parameters=[ID, IDEMPOTENCY_KEY],
        request=None,
        responses={201: WorkspaceSerializer, **problems(404, 409, 422, 429)},
    )
    @action(detail=True, methods=["post"])
    def launch(self, request: Request, pk: str) -> Response:
        saved = access.configuration_for(self.user, pk)
        workspace = actions.create(self.user, configurations.launch_of(saved), actor=self.user.username)
        configurations.used(saved)
        made = access.workspace_for(self.user, workspace.pk, Right.VIEW)
        return Response(WorkspaceSerializer(answers([made])[0]).data, status=201)
