"""REST API of webhooks: where the token's owner has notices sent."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from portal.accounts.access import signed_in
from portal.accounts.models import User
from portal.lib.rest import ULID, ClosedSerializer, Text, checked, id_parameter, problems
from portal.notices import access
from portal.notices import webhook_actions as actions
from portal.notices.models import Delivery, Webhook
from portal.notices.states import CHOSEN, DeliveryState, Kind
from portal.notices.webhook_actions import LONGEST_URL

ID = id_parameter("webhook")
ADD = OpenApiExample(
    "Ends of jobs", {"url": "https://hooks.example.org/berth", "kinds": ["job.failed"]}, request_only=True
)
ENABLED = "While it is off, nothing is sent; what waits is sent when it is on again."


class NewWebhookSerializer(ClosedSerializer):
    url = Text(max_length=LONGEST_URL, help_text="An https address that is public, or that an administrator allows.")
    kinds = serializers.ListField(child=serializers.ChoiceField(CHOSEN), allow_empty=False, max_length=len(CHOSEN))


class WebhookChangeSerializer(ClosedSerializer):
    enabled = serializers.BooleanField(help_text=ENABLED)


class DeliverySerializer(serializers.ModelSerializer[Delivery]):
    """How one notice fares on its way to one webhook."""

    id = serializers.CharField(source="notice.pk", help_text="What the request says as `webhook-id`.")
    kind = serializers.ChoiceField(Kind.choices, source="notice.kind")
    state = serializers.ChoiceField(DeliveryState.choices)
    created_at = serializers.DateTimeField(source="notice.created_at")
    error = serializers.CharField(help_text="Why the last try failed; empty when it did not.")

    class Meta:
        model = Delivery
        fields = ["id", "kind", "state", "tries", "error", "created_at", "next_at", "ended_at"]


class WebhookSerializer(serializers.ModelSerializer[Webhook]):
    kinds = serializers.ListField(child=serializers.ChoiceField(CHOSEN))
    enabled = serializers.BooleanField(help_text=ENABLED)
    latest = DeliverySerializer(many=True, help_text="The last five deliveries.")

    class Meta:
        model = Webhook
        fields = ["id", "url", "kinds", "enabled", "created_at", "latest"]


class WebhookWithSecretSerializer(WebhookSerializer):
    secret = serializers.CharField(help_text="Signs what is sent. It is shown this once.")

    class Meta(WebhookSerializer.Meta):
        fields = [*WebhookSerializer.Meta.fields, "secret"]


@extend_schema(tags=["Notices"])
class Webhooks(GenericViewSet[Webhook]):
    """A person's own; nobody else knows of them."""

    resource = "jobs"
    serializer_class = WebhookSerializer
    queryset = Webhook.objects.none()
    lookup_value_regex = ULID
    ordering = ("-pk",)

    @property
    def user(self) -> User:
        return signed_in(self.request.user)

    def get_queryset(self) -> QuerySet[Webhook]:
        return access.webhooks_of(self.user)

    def _answer(self, pk: str, status: int = 200, **more: Any) -> Response:
        shown = WebhookSerializer(access.webhook_for(self.user, pk)).data
        return Response({**shown, **more}, status=status)

    @extend_schema(
        operation_id="list_webhooks",
        summary="Your webhooks, without their secrets",
        responses={200: WebhookSerializer(many=True), **problems(422)},
    )
    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(WebhookSerializer(page or [], many=True).data)

    @extend_schema(
        operation_id="add_webhook",
        summary="Add a webhook",
        request=NewWebhookSerializer,
        responses={201: WebhookWithSecretSerializer, **problems(400, 422)},
        examples=[ADD],
    )
    def create(self, request: Request) -> Response:
        """There is one for each address, so that asking twice adds one."""
        values = checked(NewWebhookSerializer, request.data)
        made = actions.add(self.user, values["url"], values["kinds"], actor=self.user.username)
        return self._answer(made.webhook.pk, 201, secret=made.secret)

    @extend_schema(
        operation_id="switch_webhook",
        summary="Switch it on or off",
        parameters=[ID],
        request=WebhookChangeSerializer,
        responses={200: WebhookSerializer, **problems(400, 404, 422)},
    )
    def partial_update(self, request: Request, pk: str) -> Response:
        webhook = access.webhook_for(self.user, pk)
        enabled = checked(WebhookChangeSerializer, request.data)["enabled"]
        actions.switch(webhook, enabled, actor=self.user.username)
        return self._answer(webhook.pk)

    @extend_schema(
        operation_id="delete_webhook",
        summary="Delete it",
        parameters=[ID],
        responses={204: None, **problems(404)},
    )
    def destroy(self, request: Request, pk: str) -> Response:
        """What waits for it is not sent any more."""
        actions.delete(access.webhook_for(self.user, pk), actor=self.user.username)
        return Response(status=204)

    @extend_schema(
        operation_id="test_webhook",
        summary="Send a test",
        parameters=[ID],
        request=None,
        responses={202: WebhookSerializer, **problems(404, 409)},
    )
    @action(detail=True, methods=["post"])
    def test(self, request: Request, pk: str) -> Response:
        """The first of `latest` then says how it went."""
        webhook = access.webhook_for(self.user, pk)
        actions.send_test(webhook, actor=self.user.username)
        return self._answer(webhook.pk, 202)
