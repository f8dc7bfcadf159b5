"""REST API of secrets: what is in them goes in and never comes out."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from environments.models import Workspace
from environments.secret_access import seen, with_use
from portal.accounts import secret_actions
from portal.accounts.access import secret_for, signed_in
from portal.accounts.models import Secret, SecretKind, User
from portal.accounts.secret_actions import NewSecret
from portal.lib.rest import IDEMPOTENCY_KEY, ULID, ClosedSerializer, Text, id_parameter, problems

ID = id_parameter("secret")
ADD = OpenApiExample("A token", {"name": "HF_TOKEN", "value": "hf_…", "variable": True}, request_only=True)
VALUE = "Up to 64 KiB of text. It is never shown again."
VARIABLE = "Also set it as an environment variable of this name."


class NewSecretSerializer(ClosedSerializer):
    name = Text(max_length=100, help_text="As of an environment variable; also the name of its file.")
    value = Text(write_only=True, trim_whitespace=False, help_text=VALUE)
    kind = serializers.ChoiceField(SecretKind.choices, default=SecretKind.VALUE)
    team = Text(required=False, allow_null=True, max_length=50, help_text="A team you lead; yours alone, if not given.")
    variable = serializers.BooleanField(default=False, help_text=VARIABLE)


class SecretChangeSerializer(ClosedSerializer):
    value = Text(required=False, write_only=True, trim_whitespace=False, help_text=VALUE)
    variable = serializers.BooleanField(required=False, help_text=VARIABLE)


class UserOfSecretSerializer(serializers.ModelSerializer[Workspace]):
    class Meta:
        model = Workspace
        fields = ["id", "name"]


class SecretSerializer(serializers.Serializer[Any]):
    """A secret without what is in it."""

    id = serializers.CharField(source="secret.pk")
    name = serializers.CharField(source="secret.name")
    kind = serializers.ChoiceField(SecretKind.choices, source="secret.kind")
    variable = serializers.BooleanField(source="secret.variable", help_text=VARIABLE)
    team = serializers.CharField(source="secret.team.slug", default=None, allow_null=True, help_text="Null: yours.")
    created_at = serializers.DateTimeField(source="secret.created_at")
    changed_at = serializers.DateTimeField(source="secret.changed_at")
    changed_by = serializers.CharField(source="secret.changed_by")
    used_by = UserOfSecretSerializer(many=True, help_text="Workspaces that you may see.")
    may_change = serializers.BooleanField(help_text="A team's secrets are changed by who leads the team.")


@extend_schema(tags=["Secrets"])
class Secrets(GenericViewSet[Secret]):
    resource = "workspaces"
    serializer_class = SecretSerializer
    queryset = Secret.objects.none()
    lookup_value_regex = ULID
    ordering = ("-pk",)

    @property
    def user(self) -> User:
        return signed_in(self.request.user)

    def _answer(self, pk: str, status: int = 200) -> Response:
        [found] = seen(self.user, with_use(self.user).filter(pk=pk))
        return Response(SecretSerializer(found).data, status=status)

    @extend_schema(
        operation_id="list_secrets",
        summary="Your secrets and your teams', without what is in them",
        responses={200: SecretSerializer(many=True), **problems(422)},
    )
    def list(self, request: Request) -> Response:
        page: Any = self.paginate_queryset(_rows(self.user)) or []
        return self.get_paginated_response(SecretSerializer(seen(self.user, page), many=True).data)

    @extend_schema(
        operation_id="add_secret",
        summary="Add a secret",
        parameters=[IDEMPOTENCY_KEY],
        request=NewSecretSerializer,
        responses={201: SecretSerializer, **problems(400, 422)},
        examples=[ADD],
    )
    def create(self, request: Request) -> Response:
        asked = NewSecretSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        new = NewSecret(**asked.validated_data)
        return self._answer(secret_actions.add(self.user, new, actor=self.user.username).pk, 201)

    @extend_schema(
        operation_id="replace_secret",
        summary="Give it another value, or deliver it another way",
        parameters=[ID],
        request=SecretChangeSerializer,
        responses={200: SecretSerializer, **problems(400, 404, 422)},
    )
    def partial_update(self, request: Request, pk: str) -> Response:
        """Workspaces that start from now on get it; those that run keep what they have."""
        secret = secret_for(self.user, pk)
        asked = SecretChangeSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        secret_actions.replace(secret, **asked.validated_data, actor=self.user.username)
        return self._answer(secret.pk)

    @extend_schema(
        operation_id="delete_secret",
        summary="Delete it",
        parameters=[ID],
        responses={204: None, **problems(404)},
    )
    def destroy(self, request: Request, pk: str) -> Response:
        """Workspaces that use it start without it from now on."""
        secret_actions.delete(secret_for(self.user, pk), actor=self.user.username)
        return Response(status=204)


def _rows(user: User) -> QuerySet[Secret]:
    return with_use(user).order_by("-pk")
