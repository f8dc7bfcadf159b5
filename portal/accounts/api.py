"""REST API of who one is."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from portal.accounts import access
from portal.accounts.models import Membership, Role, User
from portal.lib.rest import ANY_SCOPE, problems


class UserSerializer(serializers.ModelSerializer[User]):
    staff = serializers.BooleanField(source="is_staff", help_text="Administrator.")

    class Meta:
        model = User
        fields = ["id", "username", "name", "staff"]


class TeamSerializer(serializers.Serializer[Membership]):
    slug = serializers.CharField(source="team.slug")
    name = serializers.CharField(source="team.name")
    role = serializers.ChoiceField(Role.choices)


class MeSerializer(serializers.Serializer[Any]):
    """The token's owner."""

    user = UserSerializer()
    teams = TeamSerializer(many=True)
    default_team = serializers.CharField(allow_null=True, help_text="Who pays where no team is named.")


class Me(APIView):
    resource = ANY_SCOPE

    @extend_schema(
        operation_id="get_me",
        summary="Who the token belongs to",
        tags=["Accounts"],
        responses={200: MeSerializer, **problems()},
    )
    def get(self, request: Request) -> Response:
        user = access.signed_in(request.user)
        team = access.default_team(user)
        teams = user.memberships.select_related("team")
        answer = {"user": user, "teams": teams, "default_team": team.slug if team else None}
        return Response(MeSerializer(answer).data)
