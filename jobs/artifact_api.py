"""REST API of what jobs left; the gateway sends all of it to the process `files`."""

from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import access, artifacts
from jobs.access import Right
from jobs.models import Artifact, Job
from jobs.states import ArtifactsState
from portal.accounts.access import signed_in
from portal.lib.rest import AlwaysFirst, id_parameter, problems

ID = id_parameter("job")
PATH = OpenApiParameter("path", str, OpenApiParameter.PATH, description="`path` of an artifact.")


class ArtifactSerializer(serializers.Serializer[Any]):
    """A file that a job left."""

    path = serializers.CharField(help_text="In the job's folder; what lay below the code begins with `code/`.")
    size = serializers.IntegerField(help_text="Bytes.")
    sha256 = serializers.CharField()
    url = serializers.SerializerMethodField(help_text="To download it; null when it was deleted.")

    def get_url(self, artifact: Artifact) -> str | None:
        if artifact.job.artifacts_state == ArtifactsState.REMOVED:
            return None
        return f"{settings.PORTAL_URL}/api/v1/jobs/{artifact.job_id}/artifacts/{quote(artifact.path)}"


class ArtifactView(GenericAPIView[Artifact]):
    resource = "jobs"
    serializer_class = ArtifactSerializer
    ordering = ("path",)

    def job(self, right: Right) -> Job:
        return access.job_for(signed_in(self.request.user), self.kwargs["pk"], right)

    def get_queryset(self) -> QuerySet[Artifact]:
        return Artifact.objects.select_related("job").filter(job=self.job(Right.VIEW))


@extend_schema(tags=["Jobs"], parameters=[ID])
class Artifacts(ArtifactView):
    @extend_schema(
        operation_id="list_artifacts",
        summary="List what a job left",
        responses={200: ArtifactSerializer(many=True), **problems(404, 422)},
    )
    def get(self, request: Request, pk: str) -> Response:
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(ArtifactSerializer(page or [], many=True).data)


@extend_schema(tags=["Jobs"], parameters=[ID, PATH])
class ArtifactContent(ArtifactView):
    content_negotiation_class = AlwaysFirst

    @extend_schema(
        operation_id="download_artifact",
        summary="Download a file that a job left, or a range of it",
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY, **problems(404, 409)},
    )
    def get(self, request: Request, pk: str, path: str) -> HttpResponseBase:
        return artifacts.one(request._request, self.job(Right.READ), path)


@extend_schema(tags=["Jobs"], parameters=[ID])
class ArtifactArchive(ArtifactView):
    content_negotiation_class = AlwaysFirst

    @extend_schema(
        operation_id="download_artifacts",
        summary="Download all that a job left as one zip",
        responses={(200, "application/zip"): OpenApiTypes.BINARY, **problems(404, 409)},
    )
    def get(self, request: Request, pk: str) -> HttpResponseBase:
        return artifacts.all_of(self.job(Right.READ))
