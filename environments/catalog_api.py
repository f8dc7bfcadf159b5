"""REST API of the catalog: templates, sizes and images."""

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from environments import access, images
from environments.models import Image, Template, TemplateVersion
from environments.states import ImageState
from environments.versions import resolved
from portal.accounts.access import signed_in
from portal.compute.admission import Availability, availability
from portal.compute.models import Size
from portal.lib.rest import MoneySerializer, problems
from portal.usage import costs

IMAGE_STATES = {
    ImageState.READY: "ready",
    ImageState.QUEUED: "building",
    ImageState.BUILDING: "building",
    ImageState.FAILED: "missing",
    ImageState.REMOVED: "building",
}
READINESS = [
    ("ready", "Starts at once"),
    ("building", "Starts when it is built"),
    ("missing", "The build failed"),
    ("resolving", "Cannot be launched until its tag is resolved to a digest"),
]
IMAGE_NAME = OpenApiParameter("name", str, OpenApiParameter.PATH)
SLUG = "[a-z0-9][a-z0-9-]{0,59}"


def _readiness(version: TemplateVersion) -> str:
    return IMAGE_STATES[ImageState(version.image.state)] if resolved(version) else "resolving"


class VersionSerializer(serializers.ModelSerializer[TemplateVersion]):
    image_state = serializers.SerializerMethodField()

    class Meta:
        model = TemplateVersion
        fields = ["version", "summary", "changes", "published_at", "image_state"]

    @extend_schema_field(serializers.ChoiceField(READINESS))
    def get_image_state(self, version: TemplateVersion) -> str:
        return _readiness(version)


class TemplateSerializer(serializers.ModelSerializer[Template]):
    """`parameters` and `image_state` are those of the newest version that can be launched, which is the first."""

    ide = serializers.SerializerMethodField()
    versions = VersionSerializer(many=True)
    parameters = serializers.SerializerMethodField(help_text="JSON Schema of what `parameters` may hold.")
    sizes = serializers.SerializerMethodField()
    default_size = serializers.CharField(source="default_size_id")
    image_state = serializers.SerializerMethodField()

    class Meta:
        model = Template
        fields = [
            "slug",
            "name",
            "summary",
            "documentation",
            "notes",
            "kind",
            "ide",
            "versions",
            "parameters",
            "sizes",
            "default_size",
            "image_state",
        ]

    def get_ide(self, template: Template) -> str | None:
        return template.ide or None

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_parameters(self, template: Template) -> Any:
        return self._newest(template).parameters

    def get_sizes(self, template: Template) -> list[str]:
        return [size.slug for size in template.sizes.all() if not size.retired]

    @extend_schema_field(serializers.ChoiceField(READINESS))
    def get_image_state(self, template: Template) -> str:
        return _readiness(self._newest(template))

    @staticmethod
    def _newest(template: Template) -> TemplateVersion:
        return template.versions.all()[0]


@extend_schema(tags=["Catalog"])
class Templates(GenericViewSet[Template]):
    resource = "workspaces"
    serializer_class = TemplateSerializer
    queryset = Template.objects.none()
    lookup_value_regex = SLUG
    ordering = ("position", "slug")

    def get_queryset(self) -> QuerySet[Template]:
        return access.templates_for(signed_in(self.request.user))

    @extend_schema(
        operation_id="list_templates",
        summary="What your teams may launch",
        responses={200: TemplateSerializer(many=True), **problems(422)},
    )
    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(TemplateSerializer(page or [], many=True).data)

    @extend_schema(
        operation_id="get_template",
        summary="One template",
        parameters=[OpenApiParameter("slug", str, OpenApiParameter.PATH)],
        responses={200: TemplateSerializer, **problems(404)},
    )
    def retrieve(self, request: Request, pk: str) -> Response:
        return Response(TemplateSerializer(access.template_for(signed_in(request.user), pk)).data)


class AvailabilitySerializer(serializers.Serializer[Availability]):
    state = serializers.ChoiceField(
        [("now", "Starts now"), ("queue", "Waits for room"), ("never", "No node is large enough")]
    )
    reason = serializers.CharField()


class SizeGpuSerializer(serializers.Serializer[Any]):
    """`{"class": "a100", "count": 2}`."""

    count = serializers.IntegerField()

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {"class": serializers.CharField(), **super().get_fields()}


class SizeSerializer(serializers.Serializer[Any]):
    slug = serializers.CharField()
    cpu = serializers.FloatField(help_text="Cores.")
    memory_gib = serializers.FloatField()
    gpu = SizeGpuSerializer(allow_null=True)
    price_per_hour = MoneySerializer()
    availability = AvailabilitySerializer()


@extend_schema(tags=["Catalog"])
class Sizes(GenericViewSet[Size]):
    resource = "workspaces"
    serializer_class = SizeSerializer
    queryset = Size.objects.filter(retired=False)
    ordering = ("position", "slug")

    @extend_schema(
        operation_id="list_sizes",
        summary="What can be reserved, its price, and whether it would start now",
        responses={200: SizeSerializer(many=True), **problems(422)},
    )
    def list(self, request: Request) -> Response:
        sizes = self.paginate_queryset(self.get_queryset()) or []
        prices, truths = costs.per_hour(sizes), availability(sizes, signed_in(request.user))
        rows = [
            {
                "slug": size.slug,
                "cpu": size.cpu,
                "memory_gib": size.memory_gib,
                "gpu": {"class": size.gpu_class_id, "count": size.gpu_count} if size.gpu_class_id else None,
                "price_per_hour": prices[size.slug],
                "availability": truths[size.slug],
            }
            for size in sizes
        ]
        return self.get_paginated_response(SizeSerializer(rows, many=True).data)


class ImageSerializer(serializers.ModelSerializer[Image]):
    message = serializers.SerializerMethodField()
    size_bytes = serializers.IntegerField(source="size", allow_null=True)
    templates = serializers.SerializerMethodField()

    class Meta:
        model = Image
        fields = [
            "name",
            "reference",
            "digest",
            "state",
            "progress",
            "message",
            "size_bytes",
            "ready_at",
            "templates",
        ]

    def get_message(self, image: Image) -> str:
        return image.message or images.sentence(image)

    def get_templates(self, image: Image) -> list[str]:
        return sorted({version.template_id for version in image.versions.all()})


@extend_schema(tags=["Catalog"])
class Images(GenericViewSet[Image]):
    serializer_class = ImageSerializer
    queryset = Image.objects.prefetch_related("versions")
    lookup_value_regex = SLUG
    ordering = ("name",)

    @extend_schema(
        operation_id="list_images",
        summary="Images and how far they are",
        responses={200: ImageSerializer(many=True), **problems(422)},
    )
    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(access.images_for(signed_in(request.user)))
        return self.get_paginated_response(ImageSerializer(page or [], many=True).data)

    @property
    def resource(self) -> str:
        return "admin" if self.action in ("build", "cancel") else "workspaces"

    def _done(self, name: str, action: Callable[..., None]) -> Response:
        user = signed_in(self.request.user)
        action(access.image_for(user, name), actor=user.username)
        return Response(ImageSerializer(access.image_for(user, name)).data, status=202)

    @extend_schema(
        operation_id="build_image",
        summary="Build or pull it; for administrators",
        parameters=[IMAGE_NAME],
        request=None,
        responses={202: ImageSerializer, **problems(404)},
    )
    @action(detail=True, methods=["post"])
    def build(self, request: Request, pk: str) -> Response:
        """Asking while it is under way changes nothing."""
        return self._done(pk, images.request)

    @extend_schema(
        operation_id="cancel_image",
        summary="Cancel its build or pull; for administrators",
        parameters=[IMAGE_NAME],
        request=None,
        responses={202: ImageSerializer, **problems(404, 409)},
    )
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        return self._done(pk, images.cancel)
