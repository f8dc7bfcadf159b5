"""REST API of SSH keys: public halves only, of the token's owner."""

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from portal.accounts import keys
from portal.accounts.access import signed_in
from portal.accounts.models import PublicKey, User
from portal.lib.rest import IDEMPOTENCY_KEY, ULID, ClosedSerializer, Text, id_parameter, problems

ADD = OpenApiExample("A laptop's", {"key": "ssh-ed25519 AAAA… vera@laptop", "name": "laptop"}, request_only=True)


class NewKeySerializer(ClosedSerializer):
    key = Text(max_length=20_000, help_text="The public half: one line as in `~/.ssh/id_ed25519.pub`.")
    name = Text(required=False, allow_blank=True, max_length=100, help_text="The key's own comment, if not given.")


class KeySerializer(serializers.ModelSerializer[PublicKey]):
    """A public key that opens its owner's workspaces through the SSH door."""

    class Meta:
        model = PublicKey
        fields = ["id", "name", "kind", "fingerprint", "created_at", "last_used_at"]
        extra_kwargs = {"fingerprint": {"help_text": "As `ssh-keygen -l` shows it."}}


@extend_schema(tags=["Accounts"])
class Keys(GenericViewSet[PublicKey]):
    """A person's own; nobody else knows of them."""

    resource = "workspaces"
    serializer_class = KeySerializer
    queryset = PublicKey.objects.none()
    lookup_value_regex = ULID
    ordering = ("-pk",)

    @property
    def user(self) -> User:
        return signed_in(self.request.user)

    def get_queryset(self) -> QuerySet[PublicKey]:
        return PublicKey.objects.filter(user=self.user)

    @extend_schema(
        operation_id="list_keys",
        summary="Your SSH keys",
        responses={200: KeySerializer(many=True), **problems(422)},
    )
    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(KeySerializer(page or [], many=True).data)

    @extend_schema(
        operation_id="add_key",
        summary="Add an SSH key",
        parameters=[IDEMPOTENCY_KEY],
        request=NewKeySerializer,
        responses={201: KeySerializer, **problems(400, 422)},
        examples=[ADD],
    )
    def create(self, request: Request) -> Response:
        """It opens workspaces at once, and goes on doing so when the token has ended."""
        asked = NewKeySerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        values = asked.validated_data
        key = keys.add(self.user, values["key"], values.get("name", ""), actor=self.user.username)
        return Response(KeySerializer(key).data, status=201)

    @extend_schema(
        operation_id="revoke_key",
        summary="Revoke an SSH key",
        parameters=[id_parameter("key")],
        responses={204: None, **problems(404)},
    )
    def destroy(self, request: Request, pk: str) -> Response:
        """It opens nothing any more, and connections that it opened are cut."""
        keys.delete(keys.key_of(self.user, pk), actor=self.user.username)
        return Response(status=204)
