"""What was held at which price and in total, what may be spent, and what was billed."""

from decimal import Decimal

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import F, Q

from portal.accounts.models import Team, User
from portal.lib import clock, ids
from portal.lib.money import Money
from portal.usage.meters import sku_words


class Price(models.Model):
    """Price of one SKU (`cpu`: core, `memory` and `storage`: GiB, `gpu-<class>`: device) per hour, until its next row.

    It begins at a whole second, as a constraint in the migration says too: usage is counted in seconds.
    """

    sku = models.CharField(max_length=40)
    per_hour = models.DecimalField(max_digits=14, decimal_places=6)
    currency = models.CharField(max_length=3)
    valid_from = models.DateTimeField()
    published_by = models.CharField(max_length=200)

    class Meta:
        ordering = ["sku", "valid_from"]
        constraints = [
            models.UniqueConstraint(fields=["sku", "valid_from"], name="price_once"),
            models.CheckConstraint(condition=Q(per_hour__gte=0), name="price_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.sku} {self.per_hour} {self.currency}/h"

    @property
    def label(self) -> str:
        return sku_words(self.sku)


class Budget(models.Model):
    """What a team may spend in a month, each month anew; or of it one person, or one project.

    `told_level` is the percentage people were told of in `told_month` (its first day).
    """

    class Policy(models.TextChoices):
        NOTIFY = "notify", "Tell people"
        BLOCK_NEW = "block_new", "Tell them, and hold back what is new once it is spent"

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="budgets")
    user = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="budgets")
    project = models.CharField(max_length=40, blank=True, default="")
    amount = models.DecimalField(max_digits=14, decimal_places=2)
    policy = models.CharField(max_length=10, choices=Policy.choices, default=Policy.NOTIFY)
    told_level = models.PositiveSmallIntegerField(default=0)
    told_month = models.DateField(null=True)
    checked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["team__slug", "project", F("user__username").asc(nulls_first=True)]
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="budget_is_positive"),
            models.CheckConstraint(condition=Q(user=None) | Q(project=""), name="budget_of_one"),
            models.UniqueConstraint(fields=["team", "user", "project"], nulls_distinct=False, name="budget_once"),
        ]

    def __str__(self) -> str:
        return f"{self.whom} {self.amount}"

    @property
    def whole(self) -> bool:
        """Whether it is all of the team's."""
        return self.user_id is None and not self.project

    @property
    def whom(self) -> str:
        """Whose it is, in words."""
        if self.user:
            return f"{self.user.get_full_name()} in team {self.team.name}"
        return f"project {self.project} of team {self.team.name}" if self.project else f"team {self.team.name}"


class WeekTold(models.Model):
    """The leads of a team know what it spent in the week before the day `until`, a Monday."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="weeks_told")
    until = models.DateField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["team", "until"], name="week_told_once")]

    def __str__(self) -> str:
        return f"{self.team_id} {self.until}"


class UsageInterval(models.Model):
    """Half-open [started_at, ended_at) in whole seconds of one meter of one allocation; closed rows never change.

    Of storage `allocation_id` and `owner_id` are the volume's, and a `user`, `team` or `project` that it is not charged
    to is empty.
    `team`, `user`, `project`, `template`, `gpu_class` and `node` are snapshots that outlive what they name. Constraints
    in the migration keep closed rows immutable and intervals of one allocation and meter apart.

    Beside what is billed, of cores and GPUs: `measured` is quantity × seconds while somebody measured, and `used` what
    was at work of that.
    """

    id = models.CharField(primary_key=True, max_length=ids.LENGTH, default=ids.new_id, editable=False)
    allocation_id = models.CharField(max_length=ids.LENGTH)
    owner_kind = models.CharField(max_length=20)
    owner_id = models.CharField(max_length=ids.LENGTH)
    meter = models.CharField(max_length=20)
    quantity = models.DecimalField(max_digits=14, decimal_places=4)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    price_per_hour = models.DecimalField(max_digits=14, decimal_places=6)
    currency = models.CharField(max_length=3)
    team = models.CharField(max_length=50)
    user = models.CharField(max_length=150)
    project = models.CharField(max_length=40, blank=True, default="")
    template = models.CharField(max_length=60, blank=True)
    gpu_class = models.CharField(max_length=40, blank=True, default="")
    node = models.CharField(max_length=200, blank=True)
    measured = models.FloatField(default=0)
    used = models.FloatField(default=0)

    class Meta:
        ordering = ["started_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["allocation_id", "meter"], condition=Q(ended_at=None), name="usage_one_open"
            ),
            models.CheckConstraint(
                condition=Q(ended_at=None) | Q(ended_at__gte=F("started_at")), name="usage_ends_after_start"
            ),
            models.CheckConstraint(
                condition=Q(quantity__gt=Decimal(0)) & Q(price_per_hour__gte=Decimal(0)),
                name="usage_is_positive",
            ),
        ]
        indexes = [
            models.Index(fields=["owner_id", "started_at"]),
            models.Index(fields=["allocation_id"]),
            models.Index(fields=["ended_at"], name="usage_by_end"),
            models.Index(fields=["ended_at"], condition=Q(meter="storage"), name="usage_kept_by_end"),
            models.Index(fields=["team", "started_at"], name="usage_by_team"),
            models.Index(fields=["user", "started_at"], name="usage_by_user"),
            BrinIndex(fields=["started_at", "ended_at"], name="usage_by_time", autosummarize=True, pages_per_range=32),
        ]

    def __str__(self) -> str:
        return f"{self.allocation_id} {self.meter}"


class Unsummed(models.Model):
    """This closed interval is in no total yet. The database adds the row when an interval closes, `totals` takes it."""

    interval = models.OneToOneField(UsageInterval, primary_key=True, on_delete=models.CASCADE, related_name="unsummed")

    def __str__(self) -> str:
        return self.interval_id


class UsageTotal(models.Model):
    """What closed intervals held from `started_at` on, for one step of a `kind` of total, by what that keeps apart.

    The kinds are those of `totals.KINDS`; what one does not keep apart is empty. `cpu`, `memory`, `gpu` and `storage`
    are quantity × seconds, `spent` the same times the price per hour: exact. What was measured and used of it is in
    whole core-seconds and device-seconds, as if an interval had been at work evenly.
    """

    kind = models.CharField(max_length=20)
    started_at = models.DateTimeField()
    team = models.CharField(max_length=50)
    user = models.CharField(max_length=150)
    project = models.CharField(max_length=40, default="")
    template = models.CharField(max_length=60)
    gpu_class = models.CharField(max_length=40)
    owner_kind = models.CharField(max_length=20)
    node = models.CharField(max_length=200)
    currency = models.CharField(max_length=3, default="")
    cpu = models.DecimalField(max_digits=40, decimal_places=4)
    memory = models.DecimalField(max_digits=40, decimal_places=4)
    gpu = models.DecimalField(max_digits=40, decimal_places=4)
    storage = models.DecimalField(max_digits=40, decimal_places=4, default=Decimal(0))
    spent = models.DecimalField(max_digits=40, decimal_places=10)
    cpu_measured = models.BigIntegerField(default=0)
    cpu_used = models.BigIntegerField(default=0)
    gpu_measured = models.BigIntegerField(default=0)
    gpu_used = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="usage_total_once",
                fields=[
                    "kind",
                    "started_at",
                    "team",
                    "user",
                    "project",
                    "template",
                    "gpu_class",
                    "owner_kind",
                    "node",
                    "currency",
                ],
            ),
        ]
        indexes = [
            models.Index(fields=["kind", "team", "started_at"], name="usage_total_by_team"),
            models.Index(fields=["kind", "user", "started_at"], name="usage_total_by_user"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.started_at:%Y-%m-%d %H:%M}"


class Statement(models.Model):
    """What a team is billed for one month of UTC, in one currency; once made it never changes.

    `spent` is the exact sum of quantity × seconds × price per hour of its items. `total` is that by the 3600 seconds of
    an hour, rounded once, half to even, to cents. `unsure` intervals were open and counted to the end of the month,
    though nobody had seen since that they went on.
    """

    id = models.CharField(primary_key=True, max_length=ids.LENGTH, default=ids.new_id, editable=False)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="statements")
    month = models.DateField()
    currency = models.CharField(max_length=3)
    made_at = models.DateTimeField(default=clock.now)
    spent = models.DecimalField(max_digits=40, decimal_places=10)
    total = models.DecimalField(max_digits=30, decimal_places=2)
    unsure = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-month", "team__slug", "currency"]
        constraints = [
            models.UniqueConstraint(fields=["team", "month", "currency"], name="statement_once"),
            models.CheckConstraint(condition=Q(month__day=1), name="statement_of_a_month"),
        ]

    def __str__(self) -> str:
        return f"{self.team_id} {self.month:%Y-%m} {self.currency}"

    @property
    def money(self) -> Money:
        return Money(self.total, self.currency)


class StatementItem(models.Model):
    """So many seconds of one interval within one month, billed by this statement.

    Of an earlier month than the statement's it is a correction; below zero it takes back what was billed too much.
    Together, the items of an interval are as long as what was known of it when the last of them was written.
    """

    statement = models.ForeignKey(Statement, on_delete=models.PROTECT, related_name="items")
    interval = models.ForeignKey(UsageInterval, on_delete=models.PROTECT, related_name="items")
    month = models.DateField()
    seconds = models.IntegerField()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["statement", "interval", "month"], name="statement_item_once"),
            models.CheckConstraint(condition=~Q(seconds=0), name="statement_item_says_something"),
        ]

    def __str__(self) -> str:
        return f"{self.seconds} s of {self.interval_id} in {self.month:%Y-%m}"
