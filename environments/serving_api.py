"""REST API of giving a workspace to all jobs of its team."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from environments import access, serving
from environments.access import Right
from environments.answers import WorkspaceSerializer, answers
from portal.accounts.access import signed_in
from portal.lib.rest import id_parameter, problems


class ServesTeam(APIView):
    resource = "workspaces"

    @extend_schema(
        operation_id="serve_team",
        summary="Let all jobs of its team log to it",
        tags=["Workspaces"],
        parameters=[id_parameter("workspace")],
        request=None,
        responses={200: WorkspaceSerializer, **problems(403, 404, 409)},
    )
    def put(self, request: Request, pk: str) -> Response:
        """Of a template that can, such as `mlflow`, by its owner, who leads the team. A team has one: 409 while it has
        another."""
        user = signed_in(request.user)
        serving.serve(access.workspace_for(user, pk, Right.OWN), by=user)
        found = access.workspace_for(user, pk, Right.VIEW)
        return Response(WorkspaceSerializer(answers([found])[0]).data)

    @extend_schema(
        operation_id="stop_serving_team",
        summary="No longer",
        tags=["Workspaces"],
        parameters=[id_parameter("workspace")],
        responses={204: None, **problems(403, 404)},
    )
    def delete(self, request: Request, pk: str) -> Response:
        """Its owner, leads of the team and administrators. Jobs that run reach it no more within seconds."""
        user = signed_in(request.user)
        serving.take_back(access.workspace_for(user, pk, Right.MANAGE), actor=user.username)
        return Response(status=204)
