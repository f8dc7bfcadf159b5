"""What can be told, the ways it takes, and when a delivery is tried again."""

from datetime import datetime, time, timedelta

from django.db import models


class Kind(models.TextChoices):
    JOB_SUCCEEDED = "job.succeeded", "A job succeeded"
    JOB_FAILED = "job.failed", "A job failed, timed out, was lost, or somebody else cancelled it"
    JOB_GPUS_IDLE = "job.gpus_idle", "The GPUs of a job do nothing"
    SWEEP_FINISHED = "sweep.finished", "All points of a sweep have ended"
    SCHEDULE_PAUSED = "schedule.paused", "Berth paused a schedule"
    QUOTA_ASKED = "quota.asked", "Somebody asks for GPUs that you may grant"
    QUOTA_DECIDED = "quota.decided", "A request of yours for GPUs was decided, or asked back"
    QUOTA_DELEGATED = "quota.delegated", "Somebody lets you decide about GPUs for them, or no longer"
    GRANT_ENDS = "grant.ends", "GPUs granted to you or your team end soon, or were revoked"
    BUDGET_REACHED = "budget.reached", "A budget that you look after reaches 50, 80 or 100 %"
    WEEK_OVER = "week.over", "What a team that you lead spent last week"
    MESSAGE = "message", "A lead or an administrator writes to you"
    WORK_STOPPED = "work.stopped", "Somebody else stops what you run, or will"
    TEST = "webhook.test", "A test of a webhook"


CHOSEN = [(kind.value, kind.label) for kind in Kind if kind != Kind.TEST]
"""What people may choose; a test is sent when they ask for one."""
ALWAYS_MAILED = frozenset({Kind.MESSAGE, Kind.WORK_STOPPED, Kind.JOB_GPUS_IDLE})
"""It cannot wait until somebody looks."""
CHOSEN_BY_MAIL = [(kind, label) for kind, label in CHOSEN if kind not in ALWAYS_MAILED]


DAILY_AT = time(6)
"""UTC: when who wants one mail a day gets it."""


def next_daily(now: datetime) -> datetime:
    """`now` in UTC."""
    today = datetime.combine(now, DAILY_AT, now.tzinfo)
    return today if now < today else today + timedelta(days=1)


class Channel(models.TextChoices):
    MAIL = "mail", "Mail"
    WEBHOOK = "webhook", "Webhook"


class DeliveryState(models.TextChoices):
    WAITING = "waiting", "Waiting"
    SENT = "sent", "Sent"
    FAILED = "failed", "Given up"


FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)
MOST_TRIES = 16
"""The last one is about nine hours after the first."""


def wait_after(tries: int) -> timedelta | None:
    """Doubles with each failure: 30 s, 1 min, 2 min … 1 h. None when it was tried often enough."""
    if tries >= MOST_TRIES:
        return None
    return min(FIRST_WAIT * (1 << min(tries - 1, 10)), LONGEST_WAIT)
