"""REST API of the way into a workspace."""

from typing import Any, cast

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from environments.access import Right, workspace_for
from portal.accounts.access import signed_in
from portal.accounts.models import ApiToken
from portal.gateway.actions import open_workspace
from portal.lib.rest import id_parameter, problems


class EntrySerializer(serializers.Serializer[Any]):
    """A link that lets one browser in, once."""

    url = serializers.URLField()
    expires_at = serializers.DateTimeField()


class Open(APIView):
    resource = "workspaces"
    throttle_scope = "ticket"

    @extend_schema(
        operation_id="open_workspace",
        summary="A one-time link into it",
        tags=["Workspaces"],
        parameters=[id_parameter("workspace")],
        request=None,
        responses={200: EntrySerializer, **problems(404, 409, 429)},
    )
    def post(self, request: Request, pk: str) -> Response:
        """What it opens ends when the token is revoked."""
        user = signed_in(request.user)
        entry = open_workspace(workspace_for(user, pk, Right.VISIT), user, token=cast(ApiToken, request.auth))
        response = Response(EntrySerializer(entry).data)
        response["Cache-Control"] = "no-store"
        return response
