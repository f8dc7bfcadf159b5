"""REST API of nodes, for administrators."""

from typing import Any

from django.db.models import Count, Q, QuerySet, Sum
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from portal.compute.models import Node
from portal.compute.states import PLACED
from portal.lib.rest import problems


class CapacitySerializer(serializers.Serializer[Any]):
    """`schedulable` is what may be reserved, `reserved` what is."""

    physical = serializers.FloatField()
    schedulable = serializers.FloatField()
    reserved = serializers.FloatField()


class HealthSerializer(serializers.Serializer[Any]):
    state = serializers.ChoiceField([("ready", "It answers"), ("unreachable", "Its engine does not answer")])
    since = serializers.DateTimeField(allow_null=True, help_text="Unreachable since then.")
    warning = serializers.CharField(allow_blank=True)


class NodeSerializer(serializers.ModelSerializer[Node]):
    cpu = serializers.SerializerMethodField(help_text="Cores.")
    memory = serializers.SerializerMethodField(help_text="Bytes.")
    allocations = serializers.IntegerField(source="held", help_text="How many hold a place on it.")
    health = serializers.SerializerMethodField()

    class Meta:
        model = Node
        fields = [
            "id",
            "name",
            "runtime",
            "version",
            "isolated",
            "cpu",
            "memory",
            "allocations",
            "health",
            "seen_at",
        ]

    @extend_schema_field(CapacitySerializer)
    def get_cpu(self, node: Any) -> dict[str, float]:
        return _capacity(node.cpu, node.schedulable_cpu, node.cpu_reserved)

    @extend_schema_field(CapacitySerializer)
    def get_memory(self, node: Any) -> dict[str, float]:
        return _capacity(node.memory, node.schedulable_memory, node.memory_reserved)

    @extend_schema_field(HealthSerializer)
    def get_health(self, node: Node) -> Any:
        since = node.unreachable_since
        state = "unreachable" if since else "ready"
        return HealthSerializer({"state": state, "since": since, "warning": node.warning}).data


def _capacity(physical: Any, schedulable: Any, reserved: Any) -> dict[str, float]:
    return {"physical": float(physical), "schedulable": float(schedulable), "reserved": float(reserved or 0)}


@extend_schema(tags=["Administration"])
class Nodes(GenericViewSet[Node]):
    resource = "admin"
    serializer_class = NodeSerializer
    queryset = Node.objects.all()
    ordering = ("name",)

    def get_queryset(self) -> QuerySet[Node]:
        placed = Q(allocations__phase__in=PLACED)
        return Node.objects.annotate(
            held=Count("allocations", filter=placed),
            cpu_reserved=Sum("allocations__cpu", filter=placed),
            memory_reserved=Sum("allocations__memory", filter=placed),
        )

    @extend_schema(
        operation_id="list_nodes",
        summary="Machines: capacity, use and health",
        responses={200: NodeSerializer(many=True), **problems(422)},
    )
    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(NodeSerializer(page or [], many=True).data)
