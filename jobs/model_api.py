"""REST API of models: keep what a job left, look at versions, download and delete them."""

from typing import Any

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from jobs import access, model_access, model_downloads, registry
from jobs.access import Right
from jobs.model_answers import (
    ModelSerializer,
    ModelVersionSerializer,
    NewModelSerializer,
    NewVersionSerializer,
    WholeVersionSerializer,
    counted,
)
from jobs.model_models import Model, ModelVersion
from jobs.registry import Keeping
from portal.accounts.access import signed_in
from portal.accounts.models import User
from portal.lib.errors import Invalid, Problem
from portal.lib.rest import IDEMPOTENCY_KEY, AlwaysFirst, checked, problems

NAME = "[a-z0-9][a-z0-9-]{0,59}"
NAMED = OpenApiParameter("name", str, OpenApiParameter.PATH, pattern=NAME)
NUMBER = OpenApiParameter("number", int, OpenApiParameter.PATH, description="Of the version, from 1.")
TEAM = OpenApiParameter("team", str, description="Where several of your teams have a model of that name.")
FIRST = OpenApiExample(
    "The first version", {"name": "churn-model", "job": "01M…", "path": "outputs/model.pkl"}, request_only=True
)


class ModelView(GenericAPIView[Any]):
    resource = "jobs"

    @property
    def user(self) -> User:
        return signed_in(self.request.user)

    def model(self) -> Model:
        return model_access.model_for(self.user, self.kwargs["name"], self.request.query_params.get("team"))

    def version(self) -> ModelVersion:
        return model_access.version_of(self.model(), int(self.kwargs["number"]))

    def keep(self, asked: dict[str, Any]) -> Response:
        """What a NewModelSerializer asks for."""
        try:
            job = access.job_for(self.user, asked.pop("job"), Right.READ)
        except Problem as problem:
            raise Invalid.field("job", problem.detail) from None
        version = registry.keep(self.user, job, Keeping(**asked), actor=self.user.username)
        found = model_access.version_of(version.model, version.number)
        return Response(WholeVersionSerializer(found).data, status=201)


@extend_schema(tags=["Models"])
class Models(ModelView, GenericViewSet[Model]):
    """What teams keep of what their jobs made, by name and version."""

    serializer_class = ModelSerializer
    queryset = Model.objects.none()
    lookup_field = "name"
    lookup_value_regex = NAME
    ordering = ("-pk",)

    @extend_schema(
        operation_id="list_models",
        summary="List the models of your teams",
        responses={200: ModelSerializer(many=True), **problems(422)},
    )
    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(model_access.visible_to(self.user))
        return self.get_paginated_response(ModelSerializer(counted(page or []), many=True).data)

    @extend_schema(
        operation_id="create_model",
        summary="Keep what a job left as the first version of a model",
        parameters=[IDEMPOTENCY_KEY],
        request=NewModelSerializer,
        responses={201: WholeVersionSerializer, **problems(400, 409, 422)},
        examples=[FIRST],
    )
    def create(self, request: Request) -> Response:
        """Where its team has a model of that name already, it is the next version of that one."""
        return self.keep(checked(NewModelSerializer, request.data))

    @extend_schema(
        operation_id="get_model",
        summary="One model",
        parameters=[NAMED, TEAM],
        responses={200: ModelSerializer, **problems(404, 422)},
    )
    def retrieve(self, request: Request, name: str) -> Response:
        return Response(ModelSerializer(counted([self.model()])[0]).data)


@extend_schema(tags=["Models"], parameters=[NAMED, TEAM])
class Versions(ModelView, GenericViewSet[ModelVersion]):
    serializer_class = ModelVersionSerializer
    queryset = ModelVersion.objects.none()
    ordering = ("-number",)

    def get_queryset(self) -> QuerySet[ModelVersion]:
        return ModelVersion.objects.select_related("model__team", "created_by").filter(model=self.model())

    @extend_schema(
        operation_id="list_model_versions",
        summary="List the versions of a model, newest first",
        responses={200: ModelVersionSerializer(many=True), **problems(404, 422)},
    )
    def list(self, request: Request, name: str) -> Response:
        """Deleted ones too: their record stays."""
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(ModelVersionSerializer(page or [], many=True).data)

    @extend_schema(
        operation_id="create_model_version",
        summary="Keep what a job left as the next version",
        parameters=[IDEMPOTENCY_KEY],
        request=NewVersionSerializer,
        responses={201: WholeVersionSerializer, **problems(400, 404, 409, 422)},
    )
    def create(self, request: Request, name: str) -> Response:
        """The model is one of the job's team."""
        self.model()
        return self.keep(checked(NewVersionSerializer, request.data) | {"name": name})


@extend_schema(tags=["Models"], parameters=[NAMED, NUMBER, TEAM])
class OneVersion(ModelView):
    serializer_class = WholeVersionSerializer

    @extend_schema(
        operation_id="get_model_version",
        summary="One version: what made it, and what used it",
        responses={200: WholeVersionSerializer, **problems(404, 422)},
    )
    def get(self, request: Request, name: str, number: str) -> Response:
        return Response(WholeVersionSerializer(self.version()).data)

    @extend_schema(
        operation_id="delete_model_version",
        summary="Delete its files",
        responses={204: None, **problems(404, 409, 422)},
    )
    def delete(self, request: Request, name: str, number: str) -> Response:
        """Its record stays, and the files of its job. Refused while a job that has not ended uses it."""
        version = self.version()
        model_access.require_delete(self.user, version)
        registry.delete(version, actor=self.user.username)
        return Response(status=204)


@extend_schema(tags=["Models"], parameters=[NAMED, NUMBER, TEAM])
class VersionContent(ModelView):
    content_negotiation_class = AlwaysFirst
    serializer_class = serializers.Serializer

    @extend_schema(
        operation_id="download_model_version",
        summary="Download it: a file, or a folder as a zip",
        responses={
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            (200, "application/zip"): OpenApiTypes.BINARY,
            **problems(404, 409, 422),
        },
    )
    def get(self, request: Request, name: str, number: str) -> HttpResponseBase:
        version = self.version()
        model_access.require_read(self.user, version.model)
        return model_downloads.send(request._request, version)
