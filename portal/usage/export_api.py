"""REST API of exports: usage of a month as a file for other tools."""

from typing import Any

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request

from portal.accounts.access import signed_in
from portal.lib.rest import AlwaysFirst, checked, problems
from portal.usage import focus


class ExportQuery(serializers.Serializer[Any]):
    month = serializers.CharField(required=False, default="", max_length=10, help_text="By default this one, UTC.")

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {"format": serializers.ChoiceField(["focus"], help_text="FOCUS 1.2."), **super().get_fields()}


@extend_schema(tags=["Usage"])
class Export(GenericAPIView[Any]):
    resource = "usage"
    serializer_class = ExportQuery
    pagination_class = None
    content_negotiation_class = AlwaysFirst

    @extend_schema(
        operation_id="export_usage",
        summary="What teams used in a month, in the columns of FOCUS",
        parameters=[ExportQuery],
        responses={(200, "text/csv"): OpenApiTypes.STR, **problems(422)},
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        """Of the teams one leads; of all for administrators."""
        return focus.download(signed_in(request.user), checked(ExportQuery, request.query_params)["month"])
