"""REST API of announcements: what counts now, for everybody; publishing, changing and ending, for administrators."""

from dataclasses import asdict
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from portal.accounts.access import signed_in
from portal.announcements import access, actions
from portal.announcements.actions import LONGEST_TEXT, Wording
from portal.announcements.models import Announcement, Level
from portal.lib.errors import Forbidden
from portal.lib.rest import ANY_SCOPE, IDEMPOTENCY_KEY, ULID, ClosedSerializer, Text, checked, id_parameter, problems

ID = id_parameter("announcement")
ALL = OpenApiParameter("all", bool, description="`true`: those that are over or begin later too, for administrators.")
NIGHT = OpenApiExample(
    "New disks",
    {
        "text": "New disks for the homes.",
        "maintenance": True,
        "starts_at": "2027-03-07T12:00:00Z",
        "ends_at": "2027-03-07T14:00:00Z",
    },
    request_only=True,
)


class ChangeSerializer(ClosedSerializer):
    text = Text(max_length=LONGEST_TEXT, required=False)
    level = serializers.ChoiceField(Level.choices, required=False)
    maintenance = serializers.BooleanField(required=False, help_text="Nothing new starts while it counts.")
    public = serializers.BooleanField(required=False, help_text="On the sign-in page too.")
    starts_at = serializers.DateTimeField(required=False, allow_null=True, help_text="By default now.")
    ends_at = serializers.DateTimeField(
        required=False, allow_null=True, help_text="Without it, it counts until it is ended; a maintenance needs it."
    )


class NewAnnouncementSerializer(ChangeSerializer):
    text = Text(max_length=LONGEST_TEXT)


class AnnouncementSerializer(serializers.ModelSerializer[Announcement]):
    state = serializers.ChoiceField(
        [("scheduled", "Begins later"), ("active", "Counts now"), ("expired", "Over")], read_only=True
    )

    class Meta:
        model = Announcement
        fields = [
            "id",
            "text",
            "level",
            "maintenance",
            "public",
            "state",
            "starts_at",
            "ends_at",
            "ended_at",
            "created_at",
        ]
        extra_kwargs = {"ended_at": {"help_text": "When an administrator ended it before its time."}}


@extend_schema(tags=["Announcements"])
class Announcements(GenericViewSet[Announcement]):
    """What administrators tell everybody."""

    serializer_class = AnnouncementSerializer
    queryset = Announcement.objects.all()
    lookup_value_regex = ULID
    ordering = ("-pk",)

    @property
    def resource(self) -> str:
        return ANY_SCOPE if self.action in ("list", None) else "admin"

    @property
    def actor(self) -> str:
        return signed_in(self.request.user).username

    @extend_schema(
        operation_id="list_announcements",
        summary="What counts now",
        parameters=[ALL],
        responses={200: AnnouncementSerializer(many=True), **problems(422)},
    )
    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self._asked(request))
        return self.get_paginated_response(AnnouncementSerializer(page or [], many=True).data)

    def _asked(self, request: Request) -> QuerySet[Announcement]:
        if request.query_params.get("all", "").lower() != "true":
            return access.counting()
        if not signed_in(request.user).is_staff:
            raise Forbidden("Only administrators see what is over or begins later.")
        return self.get_queryset()

    @extend_schema(
        operation_id="publish_announcement",
        summary="Tell everybody",
        parameters=[IDEMPOTENCY_KEY],
        request=NewAnnouncementSerializer,
        responses={201: AnnouncementSerializer, **problems(400, 422)},
        examples=[NIGHT],
    )
    def create(self, request: Request) -> Response:
        wanted = Wording(**checked(NewAnnouncementSerializer, request.data))
        return Response(AnnouncementSerializer(actions.announce(wanted, actor=self.actor)).data, status=201)

    @extend_schema(
        operation_id="change_announcement",
        summary="Change one that is not over",
        parameters=[ID],
        request=ChangeSerializer,
        responses={200: AnnouncementSerializer, **problems(400, 404, 409, 422)},
    )
    def partial_update(self, request: Request, pk: str) -> Response:
        """What is left out stays."""
        found = access.announcement_for(pk)
        changes: dict[str, Any] = checked(ChangeSerializer, request.data)
        wanted = Wording(**(asdict(actions.wording_of(found)) | changes))
        return Response(AnnouncementSerializer(actions.change(found, wanted, actor=self.actor)).data)

    @extend_schema(
        operation_id="end_announcement",
        summary="End it now",
        parameters=[ID],
        request=None,
        responses={202: AnnouncementSerializer, **problems(404)},
    )
    @action(detail=True, methods=["post"])
    def end(self, request: Request, pk: str) -> Response:
        """A maintenance with it: what waited starts. Ending what is over is no error."""
        found = access.announcement_for(pk)
        actions.end(found, actor=self.actor)
        return Response(AnnouncementSerializer(access.announcement_for(pk)).data, status=202)
