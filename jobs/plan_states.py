"""What holds a job back, and how sweeps and schedules choose, as data."""

from django.db import models


class Hold(models.TextChoices):
    """Why a queued job may not begin yet; it has no `begin_at` then, so that no tick looks at it."""

    NONE = "", "Nothing holds it"
    AFTER = "after", "Waits for other jobs"
    TURN = "turn", "Waits for its turn in a sweep"


class AfterCondition(models.TextChoices):
    ALL_SUCCEEDED = "all_succeeded", "All have succeeded"
    ALL_ENDED = "all_ended", "All have ended, however"


class Space(models.TextChoices):
    GRID = "grid", "Every combination"
    RANDOM = "random", "Drawn at random"


class Goal(models.TextChoices):
    MIN = "min", "The smaller the better"
    MAX = "max", "The larger the better"


class Overlap(models.TextChoices):
    """What happens at a due time while the job before has not ended."""

    SKIP = "skip", "Leave this run out"
    QUEUE = "queue", "Run after it"
    REPLACE = "replace", "Cancel it and run"


class Missed(models.TextChoices):
    """What happens with due times at which Berth did not run."""

    SKIP = "skip", "Leave them out"
    RUN_ONCE = "run_once", "Run once for all of them"
