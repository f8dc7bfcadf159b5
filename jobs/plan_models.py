"""What makes jobs: a sweep all of its points at once, a schedule one at each due time or change of a dataset."""

from dataclasses import dataclass
from datetime import datetime

from django.db import models
from django.db.models import Q

from environments.dataset_models import DatasetVersion
from environments.models import Dataset
from jobs.plan_states import Goal, Missed, Overlap, Space
from portal.accounts.models import Team, User
from portal.lib import clock, ids

STILL_MINUTES = 10
"""A copy into a dataset that pauses for less is one change."""


class Sweep(models.Model):
    """One job for each point of a space of parameters; its points are `jobs`, numbered from 1.

    `submission` is what each point is asked for (see stored.py), but for the parameters in `space` (see spaces.py).
    At most `parallelism` of them are under way. `metric` is what its results are compared by; empty for none.
    `cancelling` while points that were under way are still to be cancelled. `ended_at` is when the end of the last
    point was noted.
    """

    id = models.CharField(primary_key=True, max_length=ids.LENGTH, default=ids.new_id, editable=False)
    name = models.CharField(max_length=60)
    owner = models.ForeignKey(User, on_delete=models.PROTECT, related_name="sweeps")
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="sweeps")
    submission = models.JSONField()
    kind = models.CharField(max_length=10, choices=Space.choices)
    space = models.JSONField()
    count = models.PositiveIntegerField()
    seed = models.BigIntegerField(default=0)
    parallelism = models.PositiveIntegerField()
    metric = models.CharField(max_length=100, blank=True)
    goal = models.CharField(max_length=3, choices=Goal.choices, default=Goal.MIN)
    created_at = models.DateTimeField(default=clock.now)
    cancelled_by = models.CharField(max_length=200, blank=True, default="")
    cancelling = models.BooleanField(default=False)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=Q(count__gte=1, parallelism__gte=1), name="sweep_has_points"),
        ]
        indexes = [
            models.Index(fields=["owner", "-id"], name="sweep_of_owner"),
            models.Index(fields=["team", "-id"], name="sweep_of_team"),
            models.Index(fields=["id"], condition=Q(cancelling=True), name="sweep_to_cancel"),
            models.Index(fields=["id"], condition=Q(ended_at=None), name="sweep_under_way"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def topic(self) -> str:
        return f"sweep-{self.pk}"

    def get_absolute_url(self) -> str:
        return f"/jobs/sweeps/{self.pk}/"


class Schedule(models.Model):
    """A job at each due time of `cron`, read in the time zone `zone`, for each version of `on_change`, or both.

    `next_run_at` is the next due time that nothing was done about; null while paused, and without a `cron`. Versions up
    to the number `handled_version` are done with; a newer one is due once its files have stayed as they are for
    `still_minutes`. `note` is why a run was left out or why it is paused.
    """

    id = models.CharField(primary_key=True, max_length=ids.LENGTH, default=ids.new_id, editable=False)
    name = models.CharField(max_length=60)
    owner = models.ForeignKey(User, on_delete=models.PROTECT, related_name="job_schedules")
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="job_schedules")
    submission = models.JSONField()
    cron = models.CharField(max_length=100, blank=True)
    zone = models.CharField(max_length=60)
    overlap = models.CharField(max_length=10, choices=Overlap.choices, default=Overlap.SKIP)
    missed = models.CharField(max_length=10, choices=Missed.choices, default=Missed.SKIP)
    on_change = models.ForeignKey(Dataset, null=True, on_delete=models.PROTECT, related_name="job_schedules")
    still_minutes = models.PositiveSmallIntegerField(default=STILL_MINUTES)
    handled_version = models.PositiveIntegerField(default=0)
    paused = models.BooleanField(default=False)
    next_run_at = models.DateTimeField(null=True)
    last_job = models.ForeignKey("jobs.Job", null=True, on_delete=models.SET_NULL, related_name="+")
    note = models.CharField(max_length=500, blank=True, default="")
    noted_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(paused=True, next_run_at=None)
                | Q(paused=False, next_run_at__isnull=False)
                | Q(cron="", next_run_at=None),
                name="schedule_is_due_or_paused",
            ),
            models.CheckConstraint(condition=~Q(cron="") | Q(on_change__isnull=False), name="schedule_has_a_cause"),
        ]
        indexes = [
            models.Index(fields=["owner", "-id"], name="job_schedule_of_owner"),
            models.Index(fields=["next_run_at"], condition=Q(paused=False), name="job_schedule_due"),
            models.Index(
                fields=["on_change"], condition=Q(paused=False, on_change__isnull=False), name="job_schedule_follows"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def topic(self) -> str:
        return f"schedule-{self.pk}"

    def get_absolute_url(self) -> str:
        return f"/jobs/schedules/{self.pk}/"


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What made a job where nobody asked for just this one: columns of Job."""

    sweep: Sweep | None = None
    point: int | None = None
    schedule: Schedule | None = None
    due_at: datetime | None = None
    due_version: DatasetVersion | None = None
