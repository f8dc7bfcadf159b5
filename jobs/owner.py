"""Answers compute's questions about allocations that are attempts of jobs."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import F, OuterRef, Subquery
from django.urls import reverse

from environments import delivery, images
from jobs import actions, tracking
from jobs.markers import Told, told
from jobs.models import Attempt, Job, Scalar
from jobs.spec import files_of
from portal.accounts.access import usable_secrets
from portal.accounts.models import Secret, User
from portal.compute.lines import Line
from portal.compute.models import Allocation, Transition
from portal.compute.owners import Image as ImageAnswer
from portal.compute.owners import Subject
from portal.live.redis import publish
from runtimes.base import VARIABLES

MOST_SCALARS = 200_000
"""Of one job; what comes after is in its log only."""


class JobOwner:
    """See portal.compute.owners.Owner."""

    stays = "Its log and the files it has written. It is not tried again, but its owner can run it again."
    preemptible = True
    moves = "If it has not ended by then, it is tried again elsewhere, and that does not count as a retry."

    def image(self, allocation: Allocation) -> ImageAnswer:
        job = self._job(allocation)
        answer = images.answer(job.version.image, allocation.desired_at)
        if answer.ready and job.version.image.follows:
            actions.fix_image(job)
            return self.image(allocation)
        return answer

    def image_gone(self, allocation: Allocation) -> None:
        images.request(self._job(allocation).version.image, actor="reconcile")

    def usable_by(self, allocation: Allocation, user_id: str) -> bool:
        """Its owner may look around in it while it runs."""
        active = User.objects.filter(pk=user_id, is_active=True).exists()
        return active and Job.objects.filter(pk=allocation.owner_id, owner=user_id).exists()

    def files(self, allocation: Allocation) -> dict[str, bytes]:
        job = self._job(allocation)
        chosen = usable_secrets(job.owner, job.team).filter(jobs=job)
        found = files_of(job) | delivery.secret_files(chosen)
        if given := tracking.variables(allocation):
            found[VARIABLES] = found.get(VARIABLES, b"") + given
        return found

    def hidden(self, allocation: Allocation) -> list[str]:
        secrets = delivery.hidden_from_log(Secret.objects.filter(jobs=allocation.owner_id))
        return [*secrets, tracking.token_of(allocation)]

    def logged(self, allocation: Allocation, lines: Sequence[Line]) -> None:
        found = told((line.seq, line.text) for line in lines)
        job = Job.objects.filter(pk=allocation.owner_id)
        if found.commit:
            job.filter(git_commit="").exclude(git_url="").update(git_commit=found.commit)
        if found.progress is not None:
            job.update(progress=found.progress)
        if found.metrics:
            _keep(allocation, found, {line.seq: line.at for line in lines})
        if found.metrics or found.progress is not None:
            publish(f"job-{allocation.owner_id}-told")

    def observed(self, allocation: Allocation) -> None:
        """A job is never idle."""

    def moved(self, allocation: Allocation, transition: Transition) -> None:
        actions.follow(allocation, transition)

    def stop(self, allocation: Allocation, *, actor: str, message: str) -> None:
        actions.cancel(self._job(allocation), actor=actor, message=message)

    def subjects(self, owner_ids: Collection[str]) -> dict[str, Subject]:
        runs = Allocation.objects.filter(owner_kind="job", owner_id=OuterRef("pk"), ended_at=None)
        found = Job.objects.filter(pk__in=owner_ids).annotate(
            started_at=Subquery(runs.values("started_at")[:1]),
            idle_since=Subquery(runs.values("attempt__idle_told_at")[:1]),
        )
        rows = found.values_list("pk", "name", "started_at", "max_duration_seconds", "idle_since")
        return {
            pk: Subject(name, reverse("job", args=[pk]), _end_of(start, most), idle_since)
            for pk, name, start, most, idle_since in rows
        }

    @staticmethod
    def _job(allocation: Allocation) -> Job:
        return Job.objects.select_related("owner", "team", "version__image").get(pk=allocation.owner_id)


def _end_of(start: datetime | None, most_seconds: int | None) -> datetime | None:
    return start + timedelta(seconds=most_seconds) if start and most_seconds else None


def _keep(allocation: Allocation, found: Told, times: dict[int, str]) -> None:
    """A metric without a step goes on from the one of its name before it. Takes as long however many there are."""
    attempt = Attempt.objects.select_related("job").get(allocation=allocation)
    room = MOST_SCALARS - attempt.job.scalar_count
    kept = found.metrics[: max(room, 0)]
    last = _last_steps(attempt, {metric.name for _, metric in kept if metric.step is None})
    rows = []
    for seq, metric in kept:
        step = last.get(metric.name, -1) + 1 if metric.step is None else metric.step
        last[metric.name] = step
        rows.append(
            Scalar(
                job_id=attempt.job_id,
                attempt=attempt,
                seq=seq,
                name=metric.name,
                step=step,
                value=metric.value,
                at=times[seq],
            )
        )
    Scalar.objects.bulk_create(rows, ignore_conflicts=True)
    Job.objects.filter(pk=attempt.job_id).update(scalar_count=F("scalar_count") + len(rows))


def _last_steps(attempt: Attempt, names: set[str]) -> dict[str, int]:
    """By name, where one was told; one look into the index for each."""
    if not names:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, (SELECT step FROM jobs_scalar WHERE attempt_id = %s AND jobs_scalar.name = asked.name"
            " ORDER BY seq DESC LIMIT 1) FROM unnest(%s) AS asked (name)",
            [attempt.pk, list(names)],
        )
        return {name: step for name, step in cursor.fetchall() if step is not None}
