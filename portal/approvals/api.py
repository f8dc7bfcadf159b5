"""REST API of limits and of requests for GPUs: ask, look, decide."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from portal.accounts.access import signed_in
from portal.accounts.models import User
from portal.approvals import facts, rules
from portal.approvals.days import begin_of, end_of
from portal.lib import clock
from portal.lib.rest import IDEMPOTENCY_KEY, ULID, ClosedSerializer, Text, checked, id_parameter, problems
from portal.quotas import access, actions
from portal.quotas.actions import LONGEST_TEXT, MOST, Wish
from portal.quotas.models import GpuClass, Grant, QuotaRequest, ResourceLimit
from portal.quotas.states import GPU, GrantState, RequestState, RuleMode

REQUEST = id_parameter("request")
ASK = OpenApiExample(
    "Four devices for a week",
    {
        "scope": "me",
        "gpu_class": "a100",
        "count": 4,
        "ends_on": "2027-03-07",
        "justification": "Ablations for the review.",
    },
    request_only=True,
)


class NewRequestSerializer(ClosedSerializer):
    scope = serializers.ChoiceField([("me", "For the requester"), ("team", "For the whole team")], default="me")
    team = Text(required=False, allow_null=True, max_length=50, help_text="By default your first.")
    gpu_class = Text(max_length=40)
    count = serializers.IntegerField(min_value=1, max_value=MOST, help_text="How many more at once.")
    starts_on = serializers.DateField(required=False, allow_null=True, help_text="UTC; by default now.")
    ends_on = serializers.DateField(help_text="The last day, UTC.")
    justification = Text(max_length=LONGEST_TEXT)


class DecisionSerializer(ClosedSerializer):
    version = serializers.IntegerField(min_value=1, help_text="Of the request as you saw it.")
    note = Text(required=False, allow_blank=True, default="", max_length=LONGEST_TEXT)


class ApprovalSerializer(DecisionSerializer):
    count = serializers.IntegerField(
        required=False, min_value=1, max_value=MOST, help_text="By default as asked, or as first approved."
    )
    until = serializers.DateField(
        required=False, help_text="The last day, UTC; by default as asked, or as first approved."
    )


class GrantSerializer(serializers.ModelSerializer[Grant]):
    state = serializers.SerializerMethodField()

    class Meta:
        model = Grant
        fields = ["count", "starts_at", "ends_at", "state", "revoked_at", "revoked_because"]

    @extend_schema_field(serializers.ChoiceField(GrantState.choices))
    def get_state(self, grant: Grant) -> str:
        return grant.state(clock.now())


class FirstApprovalSerializer(serializers.ModelSerializer[QuotaRequest]):
    """What the first of two approvers gave."""

    by = serializers.CharField(source="first_by.username")
    on_behalf_of = serializers.CharField(source="first_for.username", default=None, allow_null=True)
    at = serializers.DateTimeField(source="first_at")
    count = serializers.IntegerField(source="first_count")
    until = serializers.DateTimeField(source="first_until")
    note = serializers.CharField(source="first_note")

    class Meta:
        model = QuotaRequest
        fields = ["by", "on_behalf_of", "at", "count", "until", "note"]


class RequestSerializer(serializers.ModelSerializer[QuotaRequest]):
    requester = serializers.CharField(source="requester.username")
    scope = serializers.SerializerMethodField()
    team = serializers.CharField(source="team.slug")
    state = serializers.ChoiceField(RequestState.choices)
    decided_by = serializers.CharField(source="decided_by.username", default=None, allow_null=True)
    decided_for = serializers.CharField(
        source="decided_for.username", default=None, allow_null=True, help_text="Who lent their right to decide."
    )
    rule = serializers.CharField(help_text="Name of the rule that approved it; empty where people decide.")
    first_approval = serializers.SerializerMethodField()
    grant = serializers.SerializerMethodField()

    class Meta:
        model = QuotaRequest
        fields = [
            "id",
            "requester",
            "scope",
            "team",
            "gpu_class",
            "count",
            "starts_at",
            "ends_at",
            "justification",
            "state",
            "version",
            "question",
            "note",
            "first_approval",
            "decided_by",
            "decided_for",
            "rule",
            "decided_at",
            "created_at",
            "grant",
        ]

    @extend_schema_field(serializers.ChoiceField([("me", "For the requester"), ("team", "For the whole team")]))
    def get_scope(self, request: QuotaRequest) -> str:
        return "me" if request.personal else "team"

    @extend_schema_field(FirstApprovalSerializer(allow_null=True))
    def get_first_approval(self, request: QuotaRequest) -> Any:
        return FirstApprovalSerializer(request).data if request.first_by else None

    @extend_schema_field(GrantSerializer(allow_null=True))
    def get_grant(self, request: QuotaRequest) -> Any:
        grant = getattr(request, "grant", None)
        return GrantSerializer(grant).data if grant else None


class QuotaSerializer(serializers.Serializer[Any]):
    """What one person or team may hold of a class at once."""

    scope = serializers.CharField(help_text="`me`, or `team:` and its slug.")
    resource = serializers.CharField(
        help_text="`gpu:` and the class, `cpu` (cores), `memory_gib`, `workspaces`, `jobs`, `gpu_hours` (this month),"
        " `storage_gib` (home or the team's folder)."
    )
    limit = serializers.FloatField(allow_null=True, help_text="null: no limit.")
    used = serializers.FloatField()
    borrowed = serializers.FloatField(help_text="Of what is used: from what other teams lend.")
    lent = serializers.FloatField(help_text="Of the limit: what other teams have borrowed, and free for now.")
    queued = serializers.FloatField(help_text="What waits for a place would take.")
    until = serializers.DateTimeField(allow_null=True, help_text="When the next grant in it ends.")


@extend_schema(tags=["Quota"])
class Quotas(GenericViewSet[GpuClass]):
    resource = "quota"
    serializer_class = QuotaSerializer
    queryset = GpuClass.objects.filter(retired=False)
    ordering = ("position", "slug")

    @extend_schema(
        operation_id="list_quotas",
        summary="What you and your teams may hold at once, and hold",
        responses={200: QuotaSerializer(many=True), **problems(422)},
    )
    def list(self, request: Request) -> Response:
        """GPU classes; after the last of them, what else is limited."""
        user = signed_in(request.user)
        classes = self.paginate_queryset(self.get_queryset()) or []
        names = [GPU + one.slug for one in classes]
        if self.paginator is not None and self.paginator.get_next_link() is None:  # type: ignore[attr-defined]
            names += ResourceLimit.objects.values_list("resource", flat=True)
        rows = facts.quotas(user, names)
        return self.get_paginated_response(QuotaSerializer(rows, many=True).data)


class ConditionSerializer(serializers.Serializer[Any]):
    words = serializers.CharField(help_text="What was seen and what is wanted.")
    holds = serializers.BooleanField()


class VerdictSerializer(serializers.Serializer[Any]):
    """What a rule says of a request."""

    rule = serializers.CharField()
    text = serializers.CharField(help_text="The rule in words.")
    passes = serializers.BooleanField()
    conditions = ConditionSerializer(many=True)


def _wish(request: Request) -> Wish:
    asked = checked(NewRequestSerializer, request.data)
    starts_on = asked.get("starts_on")
    return Wish(
        gpu_class=asked["gpu_class"],
        count=asked["count"],
        personal=asked["scope"] == "me",
        team=asked.get("team"),
        starts_at=begin_of(starts_on) if starts_on else None,
        ends_at=end_of(asked["ends_on"]),
        justification=asked["justification"],
    )


@extend_schema(tags=["Quota"])
class QuotaRequests(GenericViewSet[QuotaRequest]):
    """Your own, those you may decide about, and those for teams you lead."""

    resource = "quota"
    serializer_class = RequestSerializer
    queryset = QuotaRequest.objects.none()
    lookup_value_regex = ULID
    ordering = ("-pk",)

    @property
    def user(self) -> User:
        return signed_in(self.request.user)

    def get_queryset(self) -> QuerySet[QuotaRequest]:
        return access.seen_by(self.user)

    @extend_schema(
        operation_id="list_quota_requests",
        summary="List requests for GPUs",
        responses={200: RequestSerializer(many=True), **problems(422)},
    )
    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(RequestSerializer(page or [], many=True).data)

    @extend_schema(
        operation_id="get_quota_request",
        summary="One request",
        parameters=[REQUEST],
        responses={200: RequestSerializer, **problems(404)},
    )
    def retrieve(self, request: Request, pk: str) -> Response:
        return self._answer(pk)

    def _answer(self, pk: str, status: int = 200) -> Response:
        return Response(RequestSerializer(access.request_for(self.user, pk)).data, status=status)

    @extend_schema(
        operation_id="ask_for_gpus",
        summary="Ask for GPUs",
        parameters=[IDEMPOTENCY_KEY],
        request=NewRequestSerializer,
        responses={201: RequestSerializer, **problems(400, 422)},
        examples=[ASK],
    )
    def create(self, request: Request) -> Response:
        """A rule approves it at once, or approvers are told.

        What is launched meanwhile waits, and starts by itself once it is granted.
        """
        made = actions.ask(self.user, _wish(request), actor=self.user.username, judge=rules.judge)
        return self._answer(made.pk, 201)

    @extend_schema(
        operation_id="check_quota_request",
        summary="What the rules would say, without asking",
        request=NewRequestSerializer,
        responses={200: VerdictSerializer(many=True), **problems(400, 422)},
        examples=[ASK],
        filters=False,
    )
    @action(detail=False, methods=["post"], pagination_class=None)
    def check(self, request: Request) -> Response:
        """One entry for each active rule of the class. Nothing is sent; where no rule passes, people decide."""
        verdicts = rules.judge(actions.drafted(self.user, _wish(request)))
        active = [one for one in verdicts if one.mode == RuleMode.ACTIVE]
        return Response(VerdictSerializer(active, many=True).data)

    @extend_schema(
        operation_id="approve_quota_request",
        summary="Approve it, all or in part",
        parameters=[REQUEST],
        request=ApprovalSerializer,
        responses={200: RequestSerializer, **problems(404, 409, 422)},
    )
    @action(detail=True, methods=["post"])
    def approve(self, request: Request, pk: str) -> Response:
        """Nobody approves their own. 409 when somebody decided first, with who and what.

        From `two_approvers_from` devices of the class on, it is `approved_once` until somebody else approves the same,
        which is what `count` and `until` are by default then; other values begin anew.
        """
        found, said = access.request_for(self.user, pk), checked(ApprovalSerializer, request.data)
        until = end_of(said["until"]) if "until" in said else None
        actions.approve(found, said["version"], by=self.user, count=said.get("count"), until=until, note=said["note"])
        return self._answer(pk)

    @extend_schema(
        operation_id="deny_quota_request",
        summary="Deny it, with a reason in `note`",
        parameters=[REQUEST],
        request=DecisionSerializer,
        responses={200: RequestSerializer, **problems(404, 409, 422)},
    )
    @action(detail=True, methods=["post"])
    def deny(self, request: Request, pk: str) -> Response:
        found, said = access.request_for(self.user, pk), checked(DecisionSerializer, request.data)
        actions.deny(found, said["version"], said["note"], by=self.user)
        return self._answer(pk)

    @extend_schema(
        operation_id="ask_back_quota_request",
        summary="Ask the requester something first",
        parameters=[REQUEST],
        request=DecisionSerializer,
        responses={200: RequestSerializer, **problems(404, 409, 422)},
    )
    @action(detail=True, methods=["post"], url_path="needs-info")
    def needs_info(self, request: Request, pk: str) -> Response:
        found, said = access.request_for(self.user, pk), checked(DecisionSerializer, request.data)
        actions.need_info(found, said["version"], said["note"], by=self.user)
        return self._answer(pk)

    @extend_schema(
        operation_id="answer_quota_request",
        summary="Answer what was asked back",
        parameters=[REQUEST],
        request=DecisionSerializer,
        responses={200: RequestSerializer, **problems(404, 409, 422)},
    )
    @action(detail=True, methods=["post"])
    def answer(self, request: Request, pk: str) -> Response:
        found, said = access.request_for(self.user, pk), checked(DecisionSerializer, request.data)
        actions.answer(found, said["version"], said["note"], by=self.user)
        return self._answer(pk)

    @extend_schema(
        operation_id="withdraw_quota_request",
        summary="Withdraw your own",
        parameters=[REQUEST],
        request=None,
        responses={200: RequestSerializer, **problems(404, 409)},
    )
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, pk: str) -> Response:
        actions.withdraw(access.request_for(self.user, pk), by=self.user)
        return self._answer(pk)

    @extend_schema(
        operation_id="revoke_grant",
        summary="Revoke what was granted, with a reason in `note`",
        parameters=[REQUEST],
        request=DecisionSerializer,
        responses={200: RequestSerializer, **problems(404, 409, 422)},
    )
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, pk: str) -> Response:
        """Nothing new starts on it. What runs goes on, or is stopped after the `grace_hours` of its class."""
        found, said = access.request_for(self.user, pk), checked(DecisionSerializer, request.data)
        actions.revoke(access.grant_of(found), said["note"], by=self.user)
        return self._answer(pk)
