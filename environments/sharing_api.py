"""REST API of sharing, copying and handing over workspaces."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from environments import access, changes, handover, sharing
from environments.access import Right
from environments.answers import WorkspaceSerializer, answers
from environments.checks import NAME_LENGTH
from environments.models import Handover, Share, Workspace
from environments.states import ShareRight
from portal.accounts.access import signed_in
from portal.accounts.models import User
from portal.lib.rest import IDEMPOTENCY_KEY, ULID, ClosedSerializer, Text, id_parameter, problems

WORKSPACE = id_parameter("workspace", "workspace")
ID = id_parameter("share")


class NewShareSerializer(ClosedSerializer):
    user = Text(required=False, allow_null=True, max_length=150, help_text="Username of somebody in one of your teams.")
    team = Text(
        required=False, allow_null=True, max_length=50, help_text="Slug of one of your teams, instead of `user`."
    )
    right = serializers.ChoiceField(
        ShareRight.choices, help_text="`use` lets them read and change all your files in it."
    )
    until = serializers.DateTimeField(required=False, help_text="At most 30 days away; in eight hours, if not given.")


class ShareSerializer(serializers.Serializer[Any]):
    """A right on a workspace's present run."""

    id = serializers.CharField()
    user = serializers.CharField(source="user.username", default=None, allow_null=True)
    team = serializers.CharField(source="team.slug", default=None, allow_null=True)
    right = serializers.ChoiceField(ShareRight.choices)
    until = serializers.DateTimeField()
    created_by = serializers.CharField(source="created_by.username")
    created_at = serializers.DateTimeField()


@extend_schema(tags=["Workspaces"], parameters=[WORKSPACE])
class Shares(GenericViewSet[Share]):
    """Shares of one workspace: its owner gives them; its owner, leads and administrators see and end them."""

    resource = "workspaces"
    serializer_class = ShareSerializer
    queryset = Share.objects.none()
    lookup_value_regex = ULID
    ordering = ("-pk",)

    @property
    def user(self) -> User:
        return signed_in(self.request.user)

    def _shares(self, workspace: str) -> QuerySet[Share]:
        rows = access.shares_of(access.workspace_for(self.user, workspace, Right.MANAGE))
        return rows.select_related("user", "team", "created_by")

    @extend_schema(
        operation_id="list_shares",
        summary="Who it is shared with now",
        responses={200: ShareSerializer(many=True), **problems(404, 422)},
    )
    def list(self, request: Request, workspace: str) -> Response:
        page = self.paginate_queryset(self._shares(workspace))
        return self.get_paginated_response(ShareSerializer(page or [], many=True).data)

    @extend_schema(
        operation_id="create_share",
        summary="Share it while it runs",
        parameters=[IDEMPOTENCY_KEY],
        request=NewShareSerializer,
        responses={201: ShareSerializer, **problems(400, 404, 409, 422)},
    )
    def create(self, request: Request, workspace: str) -> Response:
        """With one person or one team. Sharing with the same again replaces what was."""
        found = access.workspace_for(self.user, workspace, Right.OWN)
        asked = NewShareSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        given = sharing.share(found, **asked.validated_data, actor=self.user.username)
        return Response(ShareSerializer(given).data, status=201)

    @extend_schema(
        operation_id="delete_share",
        summary="End it at once",
        parameters=[ID],
        responses={204: None, **problems(404)},
    )
    def destroy(self, request: Request, workspace: str, pk: str) -> Response:
        """Connections that it opened are cut within a minute. Ending it twice is no error."""
        found = access.workspace_for(self.user, workspace, Right.MANAGE)
        sharing.revoke(access.share_of(found, pk), actor=self.user.username)
        return Response(status=204)


class CopySerializer(ClosedSerializer):
    name = Text(required=False, allow_blank=True, max_length=NAME_LENGTH, help_text="Made up, if not given.")


class Copies(GenericViewSet[Workspace]):
    resource = "workspaces"
    throttle_scope = "launch"
    serializer_class = WorkspaceSerializer
    queryset = Workspace.objects.none()

    @extend_schema(
        operation_id="duplicate_workspace",
        summary="The same again, started",
        tags=["Workspaces"],
        parameters=[WORKSPACE, IDEMPOTENCY_KEY],
        request=CopySerializer,
        responses={201: WorkspaceSerializer, **problems(400, 404, 409, 422, 429)},
    )
    def create(self, request: Request, workspace: str) -> Response:
        """With the same version, size, parameters, variables and home. Only its owner can."""
        user = signed_in(request.user)
        found = access.workspace_for(user, workspace, Right.OWN)
        asked = CopySerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        made = changes.duplicate(found, asked.validated_data.get("name", ""), actor=user.username)
        return Response(_answer(user, made.pk), status=201)


def _answer(user: User, pk: str) -> Any:
    return WorkspaceSerializer(answers([access.workspace_for(user, pk, Right.VIEW)])[0]).data


class NewOfferSerializer(ClosedSerializer):
    to = Text(max_length=150, help_text="Username of somebody in its team.")


class OfferSerializer(serializers.Serializer[Any]):
    """An offer that nobody has answered yet."""

    workspace = serializers.CharField(source="workspace_id")
    name = serializers.CharField(source="workspace.name")
    to = serializers.CharField(source="to.username")
    offered_by = serializers.CharField(source="offered_by.username")
    offered_at = serializers.DateTimeField()


class Offer(APIView):
    resource = "workspaces"

    @extend_schema(
        operation_id="offer_workspace",
        summary="Offer it to somebody in its team",
        tags=["Workspaces"],
        parameters=[WORKSPACE],
        request=NewOfferSerializer,
        responses={201: OfferSerializer, **problems(400, 404, 409, 422)},
    )
    def post(self, request: Request, workspace: str) -> Response:
        """While it is stopped. Nothing changes until they accept; an earlier offer is withdrawn."""
        user = signed_in(request.user)
        found = access.workspace_for(user, workspace, Right.GIVE)
        asked = NewOfferSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        return Response(OfferSerializer(handover.offer(found, asked.validated_data["to"], user)).data, status=201)

    @extend_schema(
        operation_id="withdraw_offer",
        summary="Withdraw the offer",
        tags=["Workspaces"],
        parameters=[WORKSPACE],
        responses={204: None, **problems(404)},
    )
    def delete(self, request: Request, workspace: str) -> Response:
        """No error when nothing is on offer."""
        user = signed_in(request.user)
        handover.withdraw(access.workspace_for(user, workspace, Right.GIVE), user)
        return Response(status=204)


class Offers(GenericViewSet[Handover]):
    """What is offered to the caller."""

    resource = "workspaces"
    serializer_class = OfferSerializer
    queryset = Handover.objects.none()
    lookup_value_regex = ULID
    ordering = ("-pk",)

    @extend_schema(
        operation_id="list_offers",
        summary="Workspaces offered to you",
        tags=["Workspaces"],
        responses={200: OfferSerializer(many=True), **problems(422)},
    )
    def list(self, request: Request) -> Response:
        rows = access.offers_to(signed_in(request.user)).select_related("to")
        return self.get_paginated_response(OfferSerializer(self.paginate_queryset(rows) or [], many=True).data)


class Accepted(APIView):
    resource = "workspaces"

    @extend_schema(
        operation_id="accept_workspace",
        summary="Take it over",
        tags=["Workspaces"],
        parameters=[WORKSPACE],
        request=None,
        responses={200: WorkspaceSerializer, **problems(404, 409)},
    )
    def post(self, request: Request, workspace: str) -> Response:
        """It is yours, stopped, with your home from the next start on."""
        user = signed_in(request.user)
        return Response(_answer(user, handover.accept(access.offer_to(user, workspace)).pk))


class Declined(APIView):
    resource = "workspaces"

    @extend_schema(
        operation_id="decline_workspace",
        summary="Decline the offer",
        tags=["Workspaces"],
        parameters=[WORKSPACE],
        request=None,
        responses={204: None, **problems(404)},
    )
    def post(self, request: Request, workspace: str) -> Response:
        handover.decline(access.offer_to(signed_in(request.user), workspace))
        return Response(status=204)
