"""REST API of notices: what the token's owner was told."""

from dataclasses import asdict
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from portal.accounts.access import signed_in
from portal.accounts.models import User
from portal.lib.rest import ULID, ClosedSerializer, Text, checked, problems
from portal.notices import access, actions
from portal.notices.models import Notice
from portal.notices.states import CHOSEN_BY_MAIL, DAILY_AT

UNREAD = OpenApiParameter("unread", bool, description="`true`: only what was not read yet.")


class NoticeSerializer(serializers.ModelSerializer[Notice]):
    """One sentence about one thing that happened; `facts` says the same to programs."""

    facts = serializers.DictField(
        help_text="By kind: `job`, `sweep` or `schedule` with its id and how it ended, `allocation` with its id "
        "and the words."
    )

    class Meta:
        model = Notice
        fields = ["id", "kind", "text", "path", "facts", "created_at", "read_at"]
        extra_kwargs = {"path": {"help_text": "The page about it, on the portal."}}


class ReadSerializer(ClosedSerializer):
    ids = serializers.ListField(
        child=Text(max_length=26), max_length=200, required=False, help_text="All, if left out."
    )


class UnreadSerializer(serializers.Serializer[Any]):
    unread = serializers.IntegerField(help_text="How many are left.")


class MailSerializer(ClosedSerializer):
    kinds = serializers.ListField(
        child=serializers.ChoiceField(CHOSEN_BY_MAIL),
        max_length=len(CHOSEN_BY_MAIL),
        help_text="What comes by mail too; `message`, `work.stopped` and `job.gpus_idle` always do, at once.",
    )
    daily = serializers.BooleanField(
        default=False, help_text=f"All of a day in one mail, at {DAILY_AT:%H:%M} UTC; else each at once."
    )


@extend_schema(tags=["Notices"])
class Notices(GenericViewSet[Notice]):
    """A person's own; nobody else knows of them."""

    resource = "jobs"
    serializer_class = NoticeSerializer
    queryset = Notice.objects.none()
    lookup_value_regex = ULID
    ordering = ("-pk",)

    @property
    def user(self) -> User:
        return signed_in(self.request.user)

    def get_queryset(self) -> QuerySet[Notice]:
        return access.notices_of(self.user)

    @extend_schema(
        operation_id="list_notices",
        summary="What you were told",
        parameters=[UNREAD],
        responses={200: NoticeSerializer(many=True), **problems(422)},
    )
    def list(self, request: Request) -> Response:
        rows = self.get_queryset()
        if request.query_params.get("unread", "").lower() == "true":
            rows = rows.filter(read_at=None)
        page = self.paginate_queryset(rows)
        return self.get_paginated_response(NoticeSerializer(page or [], many=True).data)

    @extend_schema(
        operation_id="read_notices",
        summary="Mark as read",
        request=ReadSerializer,
        responses={200: UnreadSerializer, **problems(400, 422)},
    )
    @action(detail=False, methods=["post"])
    def read(self, request: Request) -> Response:
        """Ids that are not yours are left as they are."""
        actions.mark_read(self.user, checked(ReadSerializer, request.data).get("ids"))
        return Response({"unread": access.unread(self.user)})

    @extend_schema(
        operation_id="get_mailed_kinds",
        summary="What comes by mail too",
        responses={200: MailSerializer, **problems()},
    )
    @action(detail=False, methods=["get"], pagination_class=None)
    def mail(self, request: Request) -> Response:
        return self._mailed()

    def _mailed(self) -> Response:
        return Response(asdict(access.mail_choice(self.user)))

    @extend_schema(
        operation_id="choose_mailed_kinds",
        summary="Choose what comes by mail too",
        request=MailSerializer,
        responses={200: MailSerializer, **problems(400, 422)},
    )
    @mail.mapping.put
    def choose_mail(self, request: Request) -> Response:
        actions.choose_mail(self.user, **checked(MailSerializer, request.data), actor=self.user.username)
        return self._mailed()
