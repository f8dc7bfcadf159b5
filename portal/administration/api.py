"""`/metrics`, for Prometheus: with the token of an administrator, as the REST API."""

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from portal.administration.metrics import metrics
from portal.lib import exposition
from portal.lib.rest import AlwaysFirst


@extend_schema(exclude=True)
class Metrics(APIView):
    resource = "admin"
    content_negotiation_class = AlwaysFirst

    def get(self, request: Request) -> HttpResponse:
        return HttpResponse(exposition.text(metrics()), content_type=exposition.CONTENT_TYPE)
