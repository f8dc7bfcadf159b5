"""REST API of sweeps and schedules."""

from dataclasses import replace
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from jobs import job_file, plan_access, scheduling, sweeps
from jobs.access import Right
from jobs.body import submission_in
from jobs.job_file import JobFile
from jobs.plan_answers import (
    JobScheduleChangeSerializer,
    JobScheduleSerializer,
    NewJobScheduleSerializer,
    NewSweepSerializer,
    SweepSerializer,
    SweepWithPointsSerializer,
    schedule_answers,
    sweep_answer,
    sweep_answers,
)
from jobs.plan_models import Schedule, Sweep
from jobs.scheduling import ScheduleAsked
from jobs.sweeps import SweepAsked
from portal.accounts.access import signed_in
from portal.accounts.models import User
from portal.lib.rest import IDEMPOTENCY_KEY, ULID, checked, id_parameter, problems

SWEEP_ID, SCHEDULE_ID = id_parameter("sweep"), id_parameter("schedule")
TRAIN = {"template": "python", "command": ["python", "train.py", "--lr={parameters.lr}"]}
GRID = OpenApiExample(
    "A grid",
    {"job": TRAIN, "space": {"lr": [0.1, 0.01], "depth": [3, 5]}, "parallelism": 2, "metric": "loss"},
    request_only=True,
)
RANDOM = OpenApiExample(
    "At random",
    {"job": TRAIN, "kind": "random", "space": {"lr": {"min": 0.0001, "max": 0.1, "log": True}}, "count": 20},
    request_only=True,
)
REPORT = {"template": "python", "command": ["python", "report.py"]}
NIGHTLY = OpenApiExample(
    "On workdays", {"job": REPORT, "cron": "0 6 * * 1-5", "time_zone": "Europe/Berlin"}, request_only=True
)
RETRAINED = OpenApiExample(
    "When a dataset changes",
    {"job": {"template": "python", "command": ["python", "train.py"], "inputs": ["iris"]}, "on_change": "iris"},
    request_only=True,
)


def _asked(shape: type[serializers.Serializer[Any]], data: Any) -> dict[str, Any]:
    values = checked(shape, data)
    return values | ({"job": submission_in(values["job"])} if "job" in values else {})


@extend_schema(tags=["Jobs"])
class Sweeps(GenericViewSet[Sweep]):
    """One job for each point of a space of parameters."""

    resource = "jobs"
    serializer_class = SweepSerializer
    parser_classes = (*GenericViewSet.parser_classes, JobFile)
    queryset = Sweep.objects.none()
    lookup_value_regex = ULID
    ordering = ("-pk",)

    @property
    def throttle_scope(self) -> str | None:
        return "launch" if self.action == "create" else None

    @property
    def user(self) -> User:
        return signed_in(self.request.user)

    def get_queryset(self) -> QuerySet[Sweep]:
        return plan_access.sweeps_visible_to(self.user)

    def _answer(self, pk: str, status: int = 200) -> Response:
        found = plan_access.sweep_for(self.user, pk, Right.VIEW)
        return Response(SweepWithPointsSerializer(sweep_answer(found)).data, status=status)

    @extend_schema(
        operation_id="list_sweeps",
        summary="List sweeps",
        responses={200: SweepSerializer(many=True), **problems(422)},
    )
    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(SweepSerializer(sweep_answers(page or []), many=True).data)

    @extend_schema(
        operation_id="submit_sweep",
        summary="Submit a job for each point of a space of parameters",
        parameters=[IDEMPOTENCY_KEY],
        request=NewSweepSerializer,
        responses={201: SweepWithPointsSerializer, **problems(400, 409, 422, 429)},
        examples=[GRID, RANDOM],
    )
    def create(self, request: Request) -> Response:
        """All points are made at once; `parallelism` of them run, the others wait for their turn.

        As JSON, or as a file in YAML, whose lines a refusal then names.
        """
        with job_file.placed(request.data):
            asked = SweepAsked(**_asked(NewSweepSerializer, request.data))
            made = sweeps.submit(self.user, asked, actor=self.user.username)
        return self._answer(made.pk, 201)

    @extend_schema(
        operation_id="get_sweep",
        summary="One sweep with all its points",
        parameters=[SWEEP_ID],
        responses={200: SweepWithPointsSerializer, **problems(404)},
    )
    def retrieve(self, request: Request, pk: str) -> Response:
        return self._answer(pk)

    @extend_schema(
        operation_id="cancel_sweep",
        summary="Cancel all its points that have not ended",
        parameters=[SWEEP_ID],
        request=None,
        responses={202: SweepWithPointsSerializer, **problems(404)},
    )
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Cancelling what is cancelled or over is no error."""
        sweeps.cancel(plan_access.sweep_for(self.user, pk, Right.CANCEL), actor=self.user.username)
        return self._answer(pk, 202)


@extend_schema(tags=["Jobs"])
class Schedules(GenericViewSet[Schedule]):
    """A job at each due time, or when a dataset changes."""

    resource = "jobs"
    serializer_class = JobScheduleSerializer
    parser_classes = (*GenericViewSet.parser_classes, JobFile)
    queryset = Schedule.objects.none()
    lookup_value_regex = ULID
    ordering = ("-pk",)

    @property
    def user(self) -> User:
        return signed_in(self.request.user)

    def get_queryset(self) -> QuerySet[Schedule]:
        return plan_access.schedules_visible_to(self.user)

    def _answer(self, pk: str, status: int = 200) -> Response:
        found = plan_access.schedule_for(self.user, pk, Right.VIEW)
        return Response(JobScheduleSerializer(schedule_answers([found])[0]).data, status=status)

    @extend_schema(
        operation_id="list_schedules",
        summary="List schedules of jobs",
        responses={200: JobScheduleSerializer(many=True), **problems(422)},
    )
    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(JobScheduleSerializer(schedule_answers(page or []), many=True).data)

    @extend_schema(
        operation_id="create_schedule",
        summary="Submit a job at each due time, or when a dataset changes",
        parameters=[IDEMPOTENCY_KEY],
        request=NewJobScheduleSerializer,
        responses={201: JobScheduleSerializer, **problems(400, 409, 422)},
        examples=[NIGHTLY, RETRAINED],
    )
    def create(self, request: Request) -> Response:
        """The job is checked as if it were submitted now.

        As JSON, or as a file in YAML, whose lines a refusal then names.
        """
        with job_file.placed(request.data):
            asked = ScheduleAsked(**_asked(NewJobScheduleSerializer, request.data))
            made = scheduling.create(self.user, asked, actor=self.user.username)
        return self._answer(made.pk, 201)

    @extend_schema(
        operation_id="get_schedule",
        summary="One schedule",
        parameters=[SCHEDULE_ID],
        responses={200: JobScheduleSerializer, **problems(404)},
    )
    def retrieve(self, request: Request, pk: str) -> Response:
        return self._answer(pk)

    @extend_schema(
        operation_id="change_schedule",
        summary="Change, pause or resume it",
        parameters=[SCHEDULE_ID],
        request=JobScheduleChangeSerializer,
        responses={200: JobScheduleSerializer, **problems(400, 404, 422)},
    )
    def partial_update(self, request: Request, pk: str) -> Response:
        """What is not given stays. Only its owner may; who leads the team may pause it."""
        with job_file.placed(request.data):
            values = _asked(JobScheduleChangeSerializer, request.data)
            if values == {"paused": True}:
                scheduling.pause(plan_access.schedule_for(self.user, pk, Right.CANCEL), actor=self.user.username)
                return self._answer(pk)
            found = plan_access.own_schedule(self.user, pk)
            asked = replace(scheduling.asked_of(found), **values)
            scheduling.change(found, asked, actor=self.user.username)
        return self._answer(pk)

    @extend_schema(
        operation_id="delete_schedule",
        summary="Delete it",
        parameters=[SCHEDULE_ID],
        responses={204: None, **problems(404)},
    )
    def destroy(self, request: Request, pk: str) -> Response:
        """Its jobs stay."""
        scheduling.delete(plan_access.schedule_for(self.user, pk, Right.CANCEL), actor=self.user.username)
        return Response(status=204)
