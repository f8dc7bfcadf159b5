"""REST API of delegations: let somebody decide for oneself for a time, look, take it back."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from portal.accounts.access import signed_in
from portal.accounts.models import User
from portal.approvals.days import begin_of, end_of
from portal.lib.rest import IDEMPOTENCY_KEY, ULID, ClosedSerializer, Text, checked, id_parameter, problems
from portal.quotas import access, delegating
from portal.quotas.models import Delegation


class NewDelegationSerializer(ClosedSerializer):
    to = Text(max_length=150, help_text="Username; for a lead's right, of a member of that team.")
    team = Text(
        required=False,
        allow_null=True,
        max_length=50,
        help_text="A team that you lead. By default an administrator's right, or that of the only team you lead.",
    )
    starts_on = serializers.DateField(required=False, allow_null=True, help_text="UTC; by default now.")
    ends_on = serializers.DateField(help_text="The last day, UTC, within 90 days.")


class DelegationSerializer(serializers.ModelSerializer[Delegation]):
    """The right to decide about requests for GPUs, lent for a time."""

    delegator = serializers.CharField(source="delegator.username")
    delegate = serializers.CharField(source="delegate.username")
    team = serializers.CharField(
        source="team.slug", default=None, allow_null=True, help_text="null: the right of an administrator."
    )

    class Meta:
        model = Delegation
        fields = ["id", "delegator", "delegate", "team", "starts_at", "ends_at", "created_at"]


@extend_schema(tags=["Quota"])
class Delegations(GenericViewSet[Delegation]):
    """Those that you gave or were given, until they end; for administrators all."""

    resource = "quota"
    serializer_class = DelegationSerializer
    queryset = Delegation.objects.none()
    lookup_value_regex = ULID
    ordering = ("-pk",)

    @property
    def user(self) -> User:
        return signed_in(self.request.user)

    def get_queryset(self) -> QuerySet[Delegation]:
        return access.delegations_seen_by(self.user)

    @extend_schema(
        operation_id="list_delegations",
        summary="Who decides for whom, and until when",
        responses={200: DelegationSerializer(many=True), **problems(422)},
    )
    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(DelegationSerializer(page or [], many=True).data)

    @extend_schema(
        operation_id="create_delegation",
        summary="Let somebody decide for you for a time",
        parameters=[IDEMPOTENCY_KEY],
        request=NewDelegationSerializer,
        responses={201: DelegationSerializer, **problems(400, 422)},
    )
    def create(self, request: Request) -> Response:
        """They may decide as you may, but not about your requests or their own. The same again replaces what was."""
        asked: dict[str, Any] = checked(NewDelegationSerializer, request.data)
        begin = begin_of(asked["starts_on"]) if asked.get("starts_on") else None
        end = end_of(asked["ends_on"])
        made = delegating.delegate(self.user, asked["to"], ends_at=end, starts_at=begin, team=asked.get("team"))
        return Response(DelegationSerializer(made).data, status=201)

    @extend_schema(
        operation_id="delete_delegation",
        summary="Take it back at once",
        parameters=[id_parameter("delegation")],
        responses={204: None, **problems(404)},
    )
    def destroy(self, request: Request, pk: str) -> Response:
        """By who gave it, or an administrator. Taking it back twice is no error."""
        delegating.revoke(access.delegation_of(self.user, pk), actor=self.user.username)
        return Response(status=204)
