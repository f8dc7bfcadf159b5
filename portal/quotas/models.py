"""GpuClass, ResourceLimit, ApprovalRule, QuotaRequest, Grant, Delegation: who may hold how much, and who decides it."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from functools import reduce
from operator import and_

from django.db import models
from django.db.models import F, Q

from portal.accounts.models import Team, User
from portal.lib import clock, ids
from portal.quotas.states import DECIDED, GrantState, RequestState, Resource, RuleMode, WhenIdle

LONGEST_DELEGATION = timedelta(days=90)
SOON = timedelta(days=7)
"""So long before its end a grant is said to end soon."""


_LENT_OF_A_LIMIT = Q(team_lends=0, team_borrows=0) | Q(each_team__isnull=False, team_lends__gte=0, team_borrows__gte=0)


class GpuClass(models.Model):
    """Devices that may stand in for each other. Kept by the catalog.

    `products` are parts of the maker's names for them; a device belongs to the first class, in order of `position`,
    of which one is in its name. `each_person` and `each_team` may hold so many at once unasked; null is no limit.
    `team_lends`, `team_borrows` and `reclaim_after_minutes` are as in a ResourceLimit.
    From `two_approvers_from` devices on two people approve a request; null is never. Once the devices of a job have
    done nothing for `idle_minutes`, `when_idle` follows; null is never. What runs on after a grant may do so for
    `grace_hours`; null is until it ends by itself.
    """

    slug = models.SlugField(primary_key=True, max_length=40)
    memory_gib = models.DecimalField(max_digits=8, decimal_places=2)
    products = models.JSONField(default=list)
    each_person = models.PositiveSmallIntegerField(null=True)
    each_team = models.PositiveSmallIntegerField(null=True)
    team_lends = models.PositiveSmallIntegerField(default=0)
    team_borrows = models.PositiveSmallIntegerField(default=0)
    reclaim_after_minutes = models.PositiveIntegerField(null=True)
    two_approvers_from = models.PositiveSmallIntegerField(null=True)
    idle_minutes = models.PositiveIntegerField(null=True)
    grace_hours = models.PositiveIntegerField(null=True)
    when_idle = models.CharField(max_length=10, choices=WhenIdle.choices, default=WhenIdle.WARN)
    position = models.PositiveSmallIntegerField(default=0)
    retired = models.BooleanField(default=False)

    class Meta:
        ordering = ["position", "slug"]
        constraints = [
            models.CheckConstraint(condition=Q(memory_gib__gt=0), name="gpu_class_is_positive"),
            models.CheckConstraint(condition=_LENT_OF_A_LIMIT, name="gpu_class_lends_of_a_limit"),
        ]

    def __str__(self) -> str:
        return gpu_words(self.slug)

    @property
    def afterwards(self) -> str:
        """What becomes of what runs, once the grant is over that it runs on."""
        match self.grace_hours:
            case None:
                return "what runs goes on"
            case 0:
                return "what runs on it is stopped"
            case hours:
                return f"what runs on it is stopped {hours} h later"


class ResourceLimit(models.Model):
    """So much of a resource everybody, and every team, may hold at once; null is no limit. Kept by the catalog.

    Of what a team does not use others may have `team_lends`; a team may have `team_borrows` of what others lend.
    Jobs that borrow give it back after `reclaim_after_minutes` if its team waits for it; null is when they end.
    """

    resource = models.CharField(primary_key=True, max_length=20, choices=Resource.choices)
    each_person = models.DecimalField(max_digits=10, decimal_places=2, null=True)
    each_team = models.DecimalField(max_digits=10, decimal_places=2, null=True)
    team_lends = models.DecimalField(max_digits=10, decimal_places=2, default=Decimal(0))
    team_borrows = models.DecimalField(max_digits=10, decimal_places=2, default=Decimal(0))
    reclaim_after_minutes = models.PositiveIntegerField(null=True)
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.CheckConstraint(
                condition=Q(each_person=None) | Q(each_person__gte=0), name="limit_of_a_person_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(each_team=None) | Q(each_team__gte=0), name="limit_of_a_team_not_negative"
            ),
            models.CheckConstraint(condition=_LENT_OF_A_LIMIT, name="limit_lends_of_a_limit"),
        ]

    def __str__(self) -> str:
        return self.get_resource_display()


def gpu_words(slug: str | None, count: int = 0) -> str:
    """`2 × A100 80G` for `a100-80g`; without a count the class alone, without a class nothing."""
    name = (slug or "").replace("-", " ").upper()
    return f"{count} × {name}" if name and count else name


class ApprovalRule(models.Model):
    """What needs no person: a request of somebody for themselves, for so few of a class, for so short. Of the catalog.

    `budget_left`: what it may cost must be left of the team's budget of the month. `most_active_grants` is how many the
    person may have besides; null is any number. `no_revocations`: nothing of theirs was ever revoked.
    """

    name = models.SlugField(primary_key=True, max_length=40)
    gpu_class = models.ForeignKey(GpuClass, on_delete=models.PROTECT, related_name="rules")
    most_count = models.PositiveSmallIntegerField()
    longest_hours = models.PositiveIntegerField()
    budget_left = models.BooleanField(default=False)
    most_active_grants = models.PositiveSmallIntegerField(null=True)
    no_revocations = models.BooleanField(default=False)
    mode = models.CharField(max_length=10, choices=RuleMode.choices)
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position", "name"]
        constraints = [
            models.CheckConstraint(condition=Q(most_count__gt=0, longest_hours__gt=0), name="rule_allows_something")
        ]

    def __str__(self) -> str:
        """`At most 1 × L4 for 72 hours; budget left; at most 1 other grant; nothing revoked before`."""
        others = self.most_active_grants
        parts = [
            f"At most {gpu_words(self.gpu_class_id, self.most_count)} for {self.longest_hours} hours",
            "budget left" if self.budget_left else "",
            "" if others is None else f"at most {others} other grant{'' if others == 1 else 's'}",
            "nothing revoked before" if self.no_revocations else "",
        ]
        return "; ".join(part for part in parts if part)


def _differ(*names: str, others: Iterable[str]) -> Q:
    """None of the one is any of the other, where both are there."""
    return reduce(and_, (~Q(**{one: F(other)}) for one in names for other in others))


class QuotaRequest(models.Model):
    """Somebody asks for so many more devices at once, for themselves or for their team, from one moment to another.

    `version` rises with every step, so that two who decide at once do not both. `question` is what an approver wants
    to know first, `note` what they say to their decision. Nobody decides about their own. Where two must approve,
    `first_…` is what the first of them gave; it stands until it is confirmed, changed, or the request goes another way.
    `first_for` and `decided_for` lent their right to who decided. `verdicts` is what the rules said then, with what
    they saw; `rule` is the one that decided, `shadow_rule` the one that would have.
    """

    id = models.CharField(primary_key=True, max_length=ids.LENGTH, default=ids.new_id, editable=False)
    requester = models.ForeignKey(User, on_delete=models.PROTECT, related_name="quota_requests")
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="quota_requests")
    personal = models.BooleanField()
    gpu_class = models.ForeignKey(GpuClass, on_delete=models.PROTECT, related_name="+")
    count = models.PositiveSmallIntegerField()
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    justification = models.TextField()
    state = models.CharField(max_length=15, choices=RequestState.choices, default=RequestState.SUBMITTED)
    version = models.PositiveIntegerField(default=1)
    question = models.TextField(blank=True, default="")
    note = models.TextField(blank=True, default="")
    first_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    first_for = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    first_at = models.DateTimeField(null=True)
    first_count = models.PositiveSmallIntegerField(null=True)
    first_until = models.DateTimeField(null=True)
    first_note = models.TextField(blank=True, default="")
    decided_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    decided_for = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(null=True)
    rule = models.CharField(max_length=40, blank=True, default="")
    shadow_rule = models.CharField(max_length=40, blank=True, default="")
    verdicts = models.JSONField(default=list)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(condition=Q(count__gt=0), name="request_asks_for_something"),
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="request_ends_after_start"),
            models.CheckConstraint(
                condition=~Q(decided_by=F("requester")) & ~Q(decided_for=F("requester")),
                name="request_is_decided_by_another",
            ),
            models.CheckConstraint(
                condition=Q(state__in=sorted(DECIDED), decided_by__isnull=False, decided_at__isnull=False, rule="")
                | (Q(state=RequestState.APPROVED, decided_by=None, decided_at__isnull=False) & ~Q(rule=""))
                | (~Q(state__in=sorted(DECIDED)) & Q(rule="")),
                name="request_decided_by_somebody_or_a_rule",
            ),
            models.CheckConstraint(
                condition=_differ("first_by", "first_for", others=("requester", "decided_by", "decided_for")),
                name="request_has_two_approvers",
            ),
            models.CheckConstraint(
                condition=~Q(state=RequestState.APPROVED_ONCE)
                | Q(first_by__isnull=False, first_count__isnull=False, first_until__isnull=False),
                name="request_first_approval_is_whole",
            ),
        ]
        indexes = [
            models.Index(fields=["state", "created_at"], name="request_by_state"),
            models.Index(fields=["requester", "-created_at"], name="request_of_requester"),
        ]

    def __str__(self) -> str:
        return gpu_words(self.gpu_class_id, self.count)

    @property
    def topic(self) -> str:
        return f"quota-request-{self.pk}"

    @property
    def approved_by(self) -> set[str]:
        """Who approved it first, and whose right that was."""
        return {pk for pk in (self.first_by_id, self.first_for_id) if pk}

    @property
    def standing(self) -> tuple[int, datetime]:
        """How many until when: as the first approval gave it, else as it was asked."""
        return self.first_count or self.count, self.first_until or self.ends_at


class Grant(models.Model):
    """So many more devices at once for a team or, with a user, for one of its members. Counts while it is active.

    Where its class has a grace: when the owners of what goes on running were told, and when that was ended.
    """

    request = models.OneToOneField(QuotaRequest, primary_key=True, on_delete=models.PROTECT, related_name="grant")
    user = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="grants")
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="grants")
    gpu_class = models.ForeignKey(GpuClass, on_delete=models.PROTECT, related_name="+")
    count = models.PositiveSmallIntegerField()
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    revoked_by = models.CharField(max_length=150, blank=True, default="")
    revoked_because = models.TextField(blank=True, default="")
    reminded_days = models.PositiveSmallIntegerField(null=True)
    overrun_told_at = models.DateTimeField(null=True)
    overrun_ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-ends_at"]
        constraints = [
            models.CheckConstraint(condition=Q(count__gt=0), name="grant_gives_something"),
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="grant_ends_after_start"),
        ]
        indexes = [models.Index(fields=["ends_at"], condition=Q(revoked_at=None), name="grant_by_end")]

    def __str__(self) -> str:
        return gpu_words(self.gpu_class_id, self.count)

    def state(self, now: datetime) -> GrantState:
        if self.revoked_at is not None:
            return GrantState.REVOKED
        if now < self.starts_at:
            return GrantState.SCHEDULED
        if now >= self.ends_at:
            return GrantState.EXPIRED
        return GrantState.EXPIRING if self.ends_at - now <= SOON else GrantState.ACTIVE

    @classmethod
    def active(cls, now: datetime) -> models.QuerySet["Grant"]:
        return cls.objects.filter(revoked_at=None, starts_at__lte=now, ends_at__gt=now)


class Delegation(models.Model):
    """The right to decide, lent to somebody else from one moment to another: that of who leads `team`, or without one
    that of an administrator. It counts only while the delegator has the right.
    """

    id = models.CharField(primary_key=True, max_length=ids.LENGTH, default=ids.new_id, editable=False)
    delegator = models.ForeignKey(User, on_delete=models.CASCADE, related_name="delegations")
    delegate = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    team = models.ForeignKey(Team, null=True, on_delete=models.CASCADE, related_name="+")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["ends_at", "id"]
        constraints = [
            models.CheckConstraint(condition=~Q(delegate=F("delegator")), name="delegation_is_to_another"),
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("starts_at"), ends_at__lte=F("starts_at") + LONGEST_DELEGATION),
                name="delegation_ends_in_time",
            ),
        ]
        indexes = [models.Index(fields=["delegate", "ends_at"], condition=Q(revoked_at=None), name="delegation_open")]

    def __str__(self) -> str:
        return f"{self.delegate_id} for {self.delegator_id}"

    @property
    def topic(self) -> str:
        return f"delegation-{self.pk}"

    @property
    def right(self) -> str:
        return f"as lead of {self.team.name}" if self.team else "as administrator"
