"""Cancelling many jobs at once: a bounded number of those that are named, or of those that are found."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db.models import QuerySet

from jobs import access, actions
from jobs.access import Right
from jobs.models import Job
from jobs.states import UNFINISHED, J
from portal.accounts.models import User
from portal.lib.errors import Invalid, Problem

MOST = 200


@dataclass(frozen=True, slots=True)
class Refusal:
    id: str
    message: str


@dataclass(slots=True)
class Cancelled:
    """`cancelled` are ids of jobs that end or have ended so; `left` counts those beyond MOST: ask again for them."""

    cancelled: list[str] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    left: int = 0


def named(user: User, job_ids: Sequence[str], *, actor: str) -> Cancelled:
    """Those jobs, each by itself: one that is refused stops no other. Raises Invalid for more than MOST."""
    wanted = list(dict.fromkeys(job_ids))
    if len(wanted) > MOST:
        raise Invalid.field("jobs", f"At most {MOST} jobs at once.")
    done = Cancelled()
    for job_id, job in access.jobs_for(user, wanted, Right.CANCEL).items():
        try:
            if isinstance(job, Problem):
                raise job
            _cancel(done, job, actor)
        except Problem as problem:
            done.refused.append(Refusal(job_id, problem.detail))
    return done


def found(rows: QuerySet[Job], *, actor: str) -> Cancelled:
    """The oldest of `rows` that are not over and were not cancelled yet; the caller may see, so cancel, all of them."""
    done, left = Cancelled(), open_(rows)
    for job in left.order_by("pk")[:MOST]:
        _cancel(done, job, actor)
    done.left = open_(rows).count()
    return done


def open_(rows: QuerySet[Job]) -> QuerySet[Job]:
    return rows.filter(state__in=UNFINISHED, cancelled_by="")


def _cancel(done: Cancelled, job: Job, actor: str) -> None:
    row = actions.cancel(job, actor=actor)
    if row.cancelled_by:
        done.cancelled.append(row.pk)
    else:
        done.refused.append(Refusal(row.pk, f"{row.name} was over already: {J(row.state).label.lower()}."))
