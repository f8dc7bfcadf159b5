"""REST API of nodes, for administrators."""

from typing import Any

from django.db.models import Count, Prefetch, Q, QuerySet, Sum
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from portal.accounts.access import signed_in
from portal.compute import node_actions
from portal.compute.models import GpuDevice, GpuHold, Node
from portal.compute.states import PLACED
from portal.lib.rest import ULID, ClosedSerializer, Text, checked, id_parameter, problems

DEVICE_STATES = [
    ("free", "Nobody holds it"),
    ("held", "Something holds it"),
    ("missing", "Its node has it no more"),
    ("unknown", "Of no class in the catalog"),
]


class CapacitySerializer(serializers.Serializer[Any]):
    """`schedulable` is what may be reserved, `reserved` what is."""

    physical = serializers.FloatField()
    schedulable = serializers.FloatField()
    reserved = serializers.FloatField()


class HealthSerializer(serializers.Serializer[Any]):
    state = serializers.ChoiceField([("ready", "It answers"), ("unreachable", "Its engine does not answer")])
    since = serializers.DateTimeField(allow_null=True, help_text="Unreachable since then.")
    warning = serializers.CharField(allow_blank=True)


class CordonSerializer(ClosedSerializer):
    because = Text(max_length=200, required=False, default="", allow_blank=True, help_text="Shown to administrators.")


class DrainSerializer(ClosedSerializer):
    until = serializers.DateTimeField(help_text="What has not ended by then is stopped; at most 7 days ahead.")
    because = Text(max_length=200, help_text="The owners of what runs there read it.")


class DeviceSerializer(serializers.ModelSerializer[GpuDevice]):
    state = serializers.SerializerMethodField()
    allocation = serializers.SerializerMethodField(help_text="Who holds it; null when nobody does.")

    class Meta:
        model = GpuDevice
        fields = [
            "uuid",
            "number",
            "product",
            "memory",
            "gpu_class",
            "simulated",
            "utilisation",
            "busy_at",
            "state",
            "allocation",
        ]

    @extend_schema_field(serializers.ChoiceField(DEVICE_STATES))
    def get_state(self, device: Any) -> str:
        if device.missing_since:
            return "missing"
        return "held" if device.held else "free" if device.gpu_class_id else "unknown"

    def get_allocation(self, device: Any) -> str | None:
        return device.held[0].allocation_id if device.held else None


class NodeSerializer(serializers.ModelSerializer[Node]):
    cpu = serializers.SerializerMethodField(help_text="Cores.")
    memory = serializers.SerializerMethodField(help_text="Bytes.")
    allocations = serializers.IntegerField(source="held", help_text="How many hold a place on it.")
    gpus = DeviceSerializer(many=True, source="devices")
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
            "gpus",
            "allocations",
            "cordoned_at",
            "cordoned_because",
            "drain_at",
            "health",
            "seen_at",
        ]
        extra_kwargs = {"drain_at": {"help_text": "What still runs on it then is stopped."}}

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
    lookup_value_regex = ULID

    def get_queryset(self) -> QuerySet[Node]:
        placed = Q(allocations__phase__in=PLACED)
        held = Prefetch("devices__holds", GpuHold.objects.filter(until=None), to_attr="held")
        return Node.objects.prefetch_related("devices", held).annotate(
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

    def _done(self, node_id: str) -> Response:
        return Response(NodeSerializer(self.get_queryset().get(pk=node_id)).data, status=202)

    @extend_schema(
        operation_id="cordon_node",
        summary="Close it to what is new; what runs goes on",
        parameters=[id_parameter("node")],
        request=CordonSerializer,
        responses={202: NodeSerializer, **problems(404, 422)},
    )
    @action(detail=True, methods=["post"])
    def cordon(self, request: Request, pk: str) -> Response:
        node = node_actions.node_for(pk)
        because = checked(CordonSerializer, request.data)["because"]
        node_actions.cordon(node, because, actor=signed_in(request.user).username)
        return self._done(node.pk)

    @extend_schema(
        operation_id="uncordon_node",
        summary="Open it again",
        parameters=[id_parameter("node")],
        request=None,
        responses={202: NodeSerializer, **problems(404)},
    )
    @action(detail=True, methods=["post"])
    def uncordon(self, request: Request, pk: str) -> Response:
        node = node_actions.node_for(pk)
        node_actions.uncordon(node, actor=signed_in(request.user).username)
        return self._done(node.pk)

    @extend_schema(
        operation_id="drain_node",
        summary="Close it, and stop what has not ended by a given moment",
        parameters=[id_parameter("node")],
        request=DrainSerializer,
        responses={202: NodeSerializer, **problems(404, 422)},
    )
    @action(detail=True, methods=["post"])
    def drain(self, request: Request, pk: str) -> Response:
        """Owners are told at once. A job that is stopped is tried again elsewhere; that uses up no retry."""
        node = node_actions.node_for(pk)
        asked = checked(DrainSerializer, request.data)
        node_actions.drain(node, asked["until"], asked["because"], actor=signed_in(request.user).username)
        return self._done(node.pk)

    @extend_schema(
        operation_id="undrain_node",
        summary="Let what runs on it stay; it remains closed",
        parameters=[id_parameter("node")],
        request=None,
        responses={202: NodeSerializer, **problems(404)},
    )
    @action(detail=True, methods=["post"])
    def undrain(self, request: Request, pk: str) -> Response:
        node = node_actions.node_for(pk)
        node_actions.undrain(node, actor=signed_in(request.user).username)
        return self._done(node.pk)
