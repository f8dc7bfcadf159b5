"""REST API of the audit record, for administrators."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from portal.audit.models import AuditEvent
from portal.lib.rest import problems


class AuditSerializer(serializers.ModelSerializer[AuditEvent]):
    before = serializers.DictField()
    after = serializers.DictField()

    class Meta:
        model = AuditEvent
        fields = ["id", "at", "actor", "verb", "target", "before", "after", "hash"]


class AuditFilter(serializers.Serializer[Any]):
    actor = serializers.CharField(required=False, max_length=200, help_text="A user's name.")
    verb = serializers.CharField(required=False, max_length=60, help_text="Such as `workspace.create`.")
    target = serializers.CharField(required=False, max_length=200, help_text="Such as `workspace-01J…`.")


@extend_schema(tags=["Administration"])
class Audit(GenericViewSet[AuditEvent]):
    resource = "admin"
    serializer_class = AuditSerializer
    queryset = AuditEvent.objects.all()

    @extend_schema(
        operation_id="list_audit_events",
        summary="Who did what to what, newest first",
        parameters=[AuditFilter],
        responses={200: AuditSerializer(many=True), **problems(422)},
    )
    def list(self, request: Request) -> Response:
        asked = AuditFilter(data=request.query_params)
        asked.is_valid(raise_exception=True)
        page = self.paginate_queryset(self.get_queryset().filter(**asked.validated_data))
        return self.get_paginated_response(AuditSerializer(page or [], many=True).data)
