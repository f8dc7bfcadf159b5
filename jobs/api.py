"""REST API of jobs."""

from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from jobs import access, actions, cancelling, finding, job_file
from jobs.access import Right
from jobs.again import submission_of
from jobs.answers import JobSerializer, answers
from jobs.body import NewJobSerializer, submission_in
from jobs.finding import JobFilter
from jobs.job_file import JobFile
from jobs.measured import JobMetricsSerializer, job_metrics
from jobs.models import Attempt, Job
from portal.accounts.access import signed_in
from portal.accounts.models import User
from portal.compute.answers import LogQuery, LogSerializer, log_answer
from portal.lib.errors import Invalid
from portal.lib.rest import (
    IDEMPOTENCY_KEY,
    ULID,
    AlwaysFirst,
    ClosedSerializer,
    Text,
    checked,
    id_parameter,
    problems,
)

ID = id_parameter("job")
SMALLEST = OpenApiExample("Smallest", {"template": "python", "command": ["python", "train.py"]}, request_only=True)


class AttemptQuery(serializers.Serializer[Any]):
    attempt = serializers.IntegerField(required=False, min_value=1, max_value=10_000, help_text="Or the latest.")


class CancelFilter(ClosedSerializer, JobFilter):
    """A filter of the list; a name that it does not know is refused, lest more are cancelled than were meant."""


class CancelSerializer(ClosedSerializer):
    """Either `jobs` or `filter`."""

    jobs = serializers.ListField(child=Text(max_length=26), required=False, help_text="Ids, at most 200.")
    filter = CancelFilter(required=False, help_text="As for the list; the oldest 200 of these that are not over.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) != 1:
            raise serializers.ValidationError({"jobs": "Name either jobs or a filter."})
        return attrs


class RefusalSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    message = serializers.CharField(help_text="Why it was not cancelled.")


class CancelledSerializer(serializers.Serializer[Any]):
    cancelled = serializers.ListField(child=serializers.CharField(), help_text="Ids; they end now or have ended so.")
    refused = RefusalSerializer(many=True)
    left = serializers.IntegerField(help_text="So many more match the filter: ask again.")


class JobLogQuery(LogQuery, AttemptQuery):
    """Which part of which attempt's log."""


def _attempt(job: Job, query: dict[str, Any]) -> Attempt | None:
    """The one an AttemptQuery asks for; None before the first. Raises Invalid for one that never was."""
    attempts = job.attempts.select_related("allocation")
    number = query.get("attempt")
    found = attempts.filter(number=number).first() if number else attempts.last()
    if found is None and number:
        raise Invalid.field("attempt", f"It has had {job.attempts.count()} attempts.")
    return found


@extend_schema(tags=["Jobs"])
class Jobs(GenericViewSet[Job]):
    """All writes are actions; an object is reached only through access."""

    resource = "jobs"
    serializer_class = JobSerializer
    parser_classes = (*GenericViewSet.parser_classes, JobFile)
    queryset = Job.objects.none()
    lookup_value_regex = ULID
    ordering = ("-pk",)

    @property
    def throttle_scope(self) -> str | None:
        return "launch" if self.action in ("create", "rerun") else None

    @property
    def user(self) -> User:
        return signed_in(self.request.user)

    def _job(self, pk: str, right: Right = Right.VIEW) -> Job:
        return access.job_for(self.user, pk, right)

    def _answer(self, pk: str, status: int = 200) -> Response:
        """As it is now, whatever was done to it."""
        return Response(JobSerializer(answers([self._job(pk)])[0]).data, status=status)

    @extend_schema(
        operation_id="list_jobs",
        summary="List jobs",
        parameters=[JobFilter],
        responses={200: JobSerializer(many=True), **problems(422)},
    )
    def list(self, request: Request) -> Response:
        asked = checked(JobFilter, request.query_params)
        page = self.paginate_queryset(finding.matching(self.user, asked))
        return self.get_paginated_response(JobSerializer(answers(page or []), many=True).data)

    @extend_schema(
        operation_id="submit_job",
        summary="Submit a job",
        parameters=[IDEMPOTENCY_KEY],
        request=NewJobSerializer,
        responses={201: JobSerializer, **problems(400, 409, 422, 429)},
        examples=[SMALLEST],
    )
    def create(self, request: Request) -> Response:
        """As JSON, or as a job file in YAML, whose lines a refusal then names."""
        with job_file.placed(request.data):
            asked = submission_in(checked(NewJobSerializer, request.data))
            job = actions.submit(self.user, asked, actor=self.user.username)
        return self._answer(job.pk, 201)

    @extend_schema(
        operation_id="get_job",
        summary="One job",
        parameters=[ID],
        responses={200: JobSerializer, **problems(404)},
    )
    def retrieve(self, request: Request, pk: str) -> Response:
        return self._answer(pk)

    @extend_schema(
        operation_id="cancel_job",
        summary="End it now and do not try again",
        parameters=[ID],
        request=None,
        responses={202: JobSerializer, **problems(404)},
    )
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Cancelling what is over is no error."""
        actions.cancel(self._job(pk, Right.CANCEL), actor=self.user.username)
        return self._answer(pk, 202)

    @extend_schema(
        operation_id="cancel_jobs",
        summary="End many jobs now and do not try them again",
        request=CancelSerializer,
        responses={200: CancelledSerializer, **problems(422)},
    )
    @action(detail=False, methods=["post"], url_path="cancel", pagination_class=None)
    def cancel_many(self, request: Request) -> Response:
        """One that is refused stops no other. Asking twice is no error."""
        asked = checked(CancelSerializer, request.data)
        actor = self.user.username
        if "jobs" in asked:
            done = cancelling.named(self.user, asked["jobs"], actor=actor)
        else:
            done = cancelling.found(finding.matching(self.user, asked["filter"]), actor=actor)
        return Response(CancelledSerializer(done).data)

    @extend_schema(
        operation_id="rerun_job",
        summary="Submit the same again as a job of one's own",
        parameters=[ID, IDEMPOTENCY_KEY],
        request=None,
        responses={201: JobSerializer, **problems(404, 409, 422, 429)},
    )
    @action(detail=True, methods=["post"])
    def rerun(self, request: Request, pk: str) -> Response:
        """The same version, commit, parameters and inputs."""
        again = actions.rerun(self._job(pk, Right.RERUN), self.user, actor=self.user.username)
        return self._answer(again.pk, 201)

    @extend_schema(
        operation_id="get_job_file",
        summary="A file that submits the same again",
        parameters=[ID],
        responses={(200, job_file.MEDIA_TYPE): OpenApiTypes.STR, **problems(404)},
    )
    @action(detail=True, content_negotiation_class=AlwaysFirst, pagination_class=None)
    def file(self, request: Request, pk: str) -> HttpResponseBase:
        """With the values of its variables, so for who may run it again."""
        text = job_file.dump(submission_of(self._job(pk, Right.RERUN), self.user))
        return HttpResponse(text, content_type=job_file.MEDIA_TYPE)

    @extend_schema(
        operation_id="get_job_logs",
        summary="The log of an attempt",
        parameters=[ID, JobLogQuery],
        responses={
            (200, "application/json"): LogSerializer,
            (200, "text/plain"): OpenApiTypes.STR,
            **problems(404, 422),
        },
    )
    @action(detail=True, content_negotiation_class=AlwaysFirst, pagination_class=None)
    def logs(self, request: Request, pk: str) -> HttpResponseBase:
        query = checked(JobLogQuery, request.query_params)
        attempt = _attempt(self._job(pk), query)
        return log_answer(attempt.allocation if attempt else None, query)

    @extend_schema(
        operation_id="get_job_metrics",
        summary="CPU and memory of an attempt, and what the job measured of itself",
        parameters=[ID, AttemptQuery],
        responses={200: JobMetricsSerializer, **problems(404, 422)},
    )
    @action(detail=True)
    def metrics(self, request: Request, pk: str) -> Response:
        job = self._job(pk)
        attempt = _attempt(job, checked(AttemptQuery, request.query_params))
        return Response(JobMetricsSerializer(job_metrics(job, attempt)).data)
