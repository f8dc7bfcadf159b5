"""REST API of prices, for administrators: who published which, and from when on it was valid."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from portal.lib.rest import problems
from portal.usage.models import Price


class PriceSerializer(serializers.ModelSerializer[Price]):
    """Valid until the next one of its SKU."""

    class Meta:
        model = Price
        fields = ["sku", "per_hour", "currency", "valid_from", "published_by"]
        extra_kwargs = {"sku": {"help_text": "`cpu` is a core, `memory` a GiB, `gpu-` and a GPU class one device."}}


@extend_schema(tags=["Usage"])
class Prices(GenericViewSet[Price]):
    resource = "admin"
    serializer_class = PriceSerializer
    queryset = Price.objects.all()
    ordering = ("-valid_from", "sku")

    @extend_schema(
        operation_id="list_prices",
        summary="All prices there ever were, and who published them, newest first",
        responses={200: PriceSerializer(many=True), **problems(422)},
    )
    def list(self, request: Request) -> Response:
        page: Any = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(PriceSerializer(page or [], many=True).data)
