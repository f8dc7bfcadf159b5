"""REST API of what leads and administrators do about what others run."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from portal.accounts.access import signed_in
from portal.accounts.models import User
from portal.compute import access, looking_after, owners
from portal.compute.models import Allocation
from portal.lib.rest import ULID, ClosedSerializer, Text, checked, id_parameter, problems

ID = id_parameter("allocation")


class MessageSerializer(ClosedSerializer):
    text = Text(max_length=looking_after.LONGEST)


class StopSerializer(ClosedSerializer):
    because = Text(max_length=looking_after.LONGEST, help_text="Its owner reads it.")


class HeldSerializer(serializers.Serializer[Any]):
    """What holds compute, and whose it is."""

    id = serializers.CharField()
    kind = serializers.CharField(source="owner_kind", help_text="`workspace` or `job`, whose id is `of`.")
    of = serializers.CharField(source="owner_id")
    name = serializers.SerializerMethodField()
    owner = serializers.CharField(source="user.username")
    team = serializers.CharField(source="team.slug")
    phase = serializers.CharField()

    def get_name(self, allocation: Allocation) -> str:
        return owners.subject(allocation).name


@extend_schema(tags=["Administration"])
class Allocations(GenericViewSet[Allocation]):
    """For leads of the team that pays, and administrators."""

    resource = "workspaces"
    serializer_class = HeldSerializer
    queryset = Allocation.objects.none()
    lookup_value_regex = ULID

    @property
    def user(self) -> User:
        return signed_in(self.request.user)

    @extend_schema(
        operation_id="message_holder",
        summary="Write to who holds it",
        parameters=[ID],
        request=MessageSerializer,
        responses={202: HeldSerializer, **problems(404, 409, 422)},
    )
    @action(detail=True, methods=["post"])
    def message(self, request: Request, pk: str) -> Response:
        """A notice with your name, by mail too. The same words are told once."""
        found = access.looked_after_by(self.user, pk)
        looking_after.message(found, checked(MessageSerializer, request.data)["text"], sender=self.user)
        return Response(HeldSerializer(found).data, status=202)

    @extend_schema(
        operation_id="stop_allocation",
        summary="Stop the workspace or job that holds it, with a reason",
        parameters=[ID],
        request=StopSerializer,
        responses={202: HeldSerializer, **problems(404, 409, 422)},
    )
    @action(detail=True, methods=["post"])
    def stop(self, request: Request, pk: str) -> Response:
        """Files stay; a job is not tried again."""
        found = access.looked_after_by(self.user, pk)
        looking_after.stop(found, checked(StopSerializer, request.data)["because"], actor=self.user)
        return Response(HeldSerializer(found).data, status=202)
