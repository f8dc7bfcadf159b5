"""What the API asks and says of sweeps and schedules: plain values, gathered with a fixed number of queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rest_framework import serializers

from jobs import checks, cron, sweep_results
from jobs.body import NewJobSerializer
from jobs.plan_models import Schedule, Sweep
from jobs.plan_states import Goal, Missed, Overlap, Space
from jobs.scheduling import LONGEST_STILL
from jobs.spaces import MOST_POINTS
from jobs.states import JobState
from jobs.sweep_results import Result
from jobs.sweeps import METRIC_LENGTH
from portal.lib import clock
from portal.lib.rest import ClosedSerializer, MoneySerializer, Text

SPACE = (
    "By name the values of a grid, as a list; at random also `{min, max, log?, integer?}`. "
    "They take the place of the job's own `parameters` of that name."
)


class NewSweepSerializer(ClosedSerializer):
    name = Text(required=False, allow_blank=True, max_length=checks.NAME_LENGTH, help_text="The job's, if not given.")
    job = NewJobSerializer(help_text="What each point runs.")
    kind = serializers.ChoiceField(Space.choices, required=False, help_text="`grid`, if not given.")
    space = serializers.DictField(help_text=SPACE)
    count = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=MOST_POINTS, help_text="Of points drawn at random."
    )
    seed = serializers.IntegerField(
        required=False, min_value=-(2**53) + 1, max_value=2**53 - 1, help_text="The same draws the same; 0."
    )
    parallelism = serializers.IntegerField(
        required=False, min_value=1, max_value=MOST_POINTS, help_text="Points under way at once; 1, if not given."
    )
    metric = Text(required=False, allow_blank=True, max_length=METRIC_LENGTH, help_text="By which points are compared.")
    goal = serializers.ChoiceField(Goal.choices, required=False, help_text="`min`, if not given.")


class ProgressSerializer(serializers.Serializer[Any]):
    held = serializers.IntegerField(help_text="Wait for their turn or for other jobs.")
    running = serializers.IntegerField(help_text="Are under way.")
    succeeded = serializers.IntegerField()
    ended = serializers.IntegerField(help_text="However they ended.")


class SweepSerializer(serializers.Serializer[Any]):
    """A sweep and how far it is."""

    id = serializers.CharField()
    name = serializers.CharField()
    owner = serializers.CharField()
    team = serializers.CharField()
    kind = serializers.ChoiceField(Space.choices)
    space = serializers.DictField()
    count = serializers.IntegerField(help_text="Of points.")
    seed = serializers.IntegerField()
    parallelism = serializers.IntegerField()
    metric = serializers.CharField()
    goal = serializers.ChoiceField(Goal.choices)
    progress = ProgressSerializer()
    cancelled_by = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()


class SweepPointSerializer(serializers.Serializer[Result]):
    point = serializers.IntegerField(help_text="From 1.")
    job = serializers.CharField()
    parameters = serializers.DictField(help_text="Those in the space.")
    state = serializers.ChoiceField(JobState.choices)
    message = serializers.CharField(help_text="What it waits for, or why it ended.")
    best = serializers.FloatField(allow_null=True, help_text="Of the metric, in all attempts.")
    last = serializers.FloatField(allow_null=True)
    duration_seconds = serializers.FloatField(allow_null=True)
    cost = MoneySerializer(allow_null=True, help_text="So far.")


class SweepWithPointsSerializer(SweepSerializer):
    best_point = serializers.IntegerField(allow_null=True, help_text="Null while no point has told the metric.")
    points = SweepPointSerializer(many=True)


NOTHING = {"held": 0, "running": 0, "succeeded": 0, "ended": 0}


def sweep_answers(sweeps: Sequence[Sweep]) -> list[dict[str, Any]]:
    """Shape of SweepSerializer."""
    far = sweep_results.progress(sweeps)
    return [_sweep(sweep, far.get(sweep.pk, NOTHING)) for sweep in sweeps]


def sweep_answer(sweep: Sweep) -> dict[str, Any]:
    """Shape of SweepWithPointsSerializer."""
    rows = sweep_results.results(sweep)
    best = sweep_results.best_of(sweep, rows)
    return sweep_answers([sweep])[0] | {"points": rows, "best_point": best.point if best else None}


def _sweep(sweep: Sweep, far: dict[str, Any]) -> dict[str, Any]:
    names = ("name", "kind", "space", "count", "seed", "parallelism", "metric", "goal", "created_at")
    return {name: getattr(sweep, name) for name in names} | {
        "id": sweep.pk,
        "owner": sweep.owner.username,
        "team": sweep.team.slug,
        "progress": far,
        "cancelled_by": sweep.cancelled_by or None,
    }


class NewJobScheduleSerializer(ClosedSerializer):
    name = Text(required=False, allow_blank=True, max_length=checks.NAME_LENGTH, help_text="The job's, if not given.")
    job = NewJobSerializer(help_text="What is submitted each time.")
    cron = Text(
        required=False,
        allow_blank=True,
        max_length=cron.LONGEST,
        help_text="Minute, hour, day, month and weekday, such as `0 6 * * 1-5`. Not needed with `on_change`.",
    )
    time_zone = Text(required=False, max_length=60, help_text="An IANA name such as `Europe/Berlin`; `UTC`.")
    overlap = serializers.ChoiceField(
        Overlap.choices, required=False, help_text="While the run before has not ended; `skip`, if not given."
    )
    missed = serializers.ChoiceField(
        Missed.choices, required=False, help_text="Due times at which Berth did not run; `skip`, if not given."
    )
    on_change = Text(
        required=False,
        allow_null=True,
        max_length=60,
        help_text="Name of a dataset: one job for each new version of it, beside `cron` or instead of it.",
    )
    still_minutes = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=LONGEST_STILL,
        help_text="How long a new version must have stayed as it is; 10, if not given.",
    )
    paused = serializers.BooleanField(required=False)


class JobScheduleChangeSerializer(NewJobScheduleSerializer):
    """What is not given stays as it is."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        found = super().get_fields()
        for field in found.values():
            field.required = False
        return found


@dataclass(frozen=True, slots=True)
class ScheduleAnswer:
    """Shape of JobScheduleSerializer."""

    row: Schedule
    upcoming: list[datetime]


class JobScheduleSerializer(serializers.Serializer[Any]):
    """A schedule, what it did last and when it runs next."""

    id = serializers.CharField(source="row.pk")
    name = serializers.CharField(source="row.name")
    owner = serializers.CharField(source="row.owner.username")
    team = serializers.CharField(source="row.team.slug")
    cron = serializers.CharField(source="row.cron", help_text="Empty where only a dataset is followed.")
    time_zone = serializers.CharField(source="row.zone")
    overlap = serializers.ChoiceField(Overlap.choices, source="row.overlap")
    missed = serializers.ChoiceField(Missed.choices, source="row.missed")
    on_change = serializers.CharField(source="row.on_change_id", allow_null=True)
    still_minutes = serializers.IntegerField(source="row.still_minutes")
    paused = serializers.BooleanField(source="row.paused")
    note = serializers.CharField(source="row.note", help_text="Why a run was left out, or why it is paused.")
    noted_at = serializers.DateTimeField(source="row.noted_at", allow_null=True)
    next_run_at = serializers.DateTimeField(source="row.next_run_at", allow_null=True)
    upcoming = serializers.ListField(child=serializers.DateTimeField(), help_text="The next five.")
    last_job = serializers.CharField(source="row.last_job_id", allow_null=True)
    template = serializers.CharField(source="row.submission.template", allow_null=True)
    command = serializers.ListField(source="row.submission.command", child=serializers.CharField())
    created_at = serializers.DateTimeField(source="row.created_at")


def schedule_answers(rows: Sequence[Schedule]) -> list[ScheduleAnswer]:
    now = clock.now()
    return [
        ScheduleAnswer(row, cron.upcoming(row.cron, row.zone, now) if row.cron and not row.paused else [])
        for row in rows
    ]
