"""Statements: what a team is billed for a month, made by a worker once the month is over and known, and never changed.

Months are those of UTC. A statement brings what is billed of each interval, month by month, up to what is known of it.
So the next one corrects what came late for a month that was stated before, or ended earlier than was thought then.
"""

from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from django.db.models import DecimalField, Exists, F, Func, IntegerField, OuterRef, QuerySet, Sum, Value
from django.db.models.functions import Coalesce, Least

from portal.accounts.models import Team
from portal.audit.actions import record
from portal.celery import ring
from portal.compute.models import Allocation
from portal.lib import clock
from portal.lib.money import Money
from portal.lib.postponing import Postponed
from portal.live.redis import Unavailable
from portal.quotas.models import gpu_words
from portal.usage import metering, storage
from portal.usage.costs import SECONDS_PER_HOUR
from portal.usage.meters import GPU, METERS
from portal.usage.models import Statement, StatementItem, UsageInterval

PATIENCE = timedelta(days=3)
"""So long after its end a month waits for the ends of what nobody has seen since."""
EVERY = timedelta(minutes=10)
CHUNK = 2_000

_postponed = Postponed("the statement")


class Seconds(Func):
    """Of a duration."""

    template = "EXTRACT(EPOCH FROM %(expressions)s)::bigint"
    output_field = IntegerField()


@dataclass(frozen=True, slots=True)
class Line:
    """What one person held of one meter at one price, of one kind and template. `held` is quantity × seconds, exact.

    What is nobody's alone has no `user`, and files have no `template`.
    """

    month: date
    user: str
    kind: str
    template: str
    meter: str
    gpu_class: str
    price_per_hour: Decimal
    held: Decimal

    @property
    def label(self) -> str:
        return gpu_words(self.gpu_class) if self.meter == GPU else METERS[self.meter].label

    @property
    def what(self) -> str:
        return f"{self.template} ({self.kind})" if self.template else self.kind

    @property
    def unit(self) -> str:
        return METERS[self.meter].hours

    @property
    def spent(self) -> Decimal:
        return self.held * self.price_per_hour

    @property
    def hours(self) -> Decimal:
        return self.held / SECONDS_PER_HOUR

    @property
    def amount(self) -> Decimal:
        return self.spent / SECONDS_PER_HOUR


def ring_due() -> None:
    """Part of every tick: a worker looks for what is due, where it delays nobody; one of all tickers rings."""
    from portal.usage import tasks

    with suppress(Unavailable):
        if cache.add("statements-due", True, EVERY.total_seconds()):
            ring(tasks.make_statements)


def make_due() -> bool:
    """One month of one team; whether one was due."""
    now = clock.now()
    team = due(now).exclude(pk__in=_postponed.rows()).first()
    if team is not None:
        with _postponed.trying(team.pk):
            metering.divide()
            storage.divide()
            make(team.pk, now)
    return team is not None


def due(now: datetime) -> QuerySet[Team]:
    """Those with a month that is over, known and without a statement; after PATIENCE also when it is not known."""
    begin, _ = clock.month_of(now)
    used = UsageInterval.objects.filter(team=OuterRef("slug"), started_at__lt=begin)
    before, _ = clock.month_of(begin - timedelta(days=1))
    teams = Team.objects.filter(Exists(used), ~Exists(Statement.objects.filter(team=OuterRef("pk"), month=before)))
    waits = Exists(_unsure(begin).filter(team=OuterRef("slug")))
    return teams if now >= begin + PATIENCE else teams.exclude(waits)


def _unsure(end: datetime) -> QuerySet[UsageInterval]:
    """Of what runs, from before `end`, what may turn out to have ended before it too: nobody has seen it since."""
    seen = Allocation.objects.filter(pk=OuterRef("allocation_id"), confirmed_at__gte=end)
    return metering.running(UsageInterval.objects.filter(~Exists(seen), started_at__lt=end)).order_by()


@transaction.atomic
def make(team_id: str, now: datetime) -> list[Statement]:
    """One for each currency, of the team's first month without any; none when that is not over.

    Two at once wait for each other, and the second goes on with the next month.
    """
    team = Team.objects.select_for_update(no_key=True).get(pk=team_id)
    begin, end = clock.month_of(_first_without(team))
    if end > now:
        return []
    found = _items(team, end) or {settings.CURRENCY: []}
    unsure = Counter(_unsure(end).filter(team=team.slug).values_list("currency", flat=True))
    return [_write(team, begin.date(), currency, items, unsure[currency]) for currency, items in found.items()]


def _first_without(team: Team) -> datetime:
    """A moment in that month."""
    last = team.statements.order_by("-month").values_list("month", flat=True).first()
    if last is not None:
        _, end = clock.month_of(datetime.combine(last, time(), UTC))
        return end
    first = UsageInterval.objects.filter(team=team.slug).order_by("started_at").values_list("started_at", flat=True)
    return first[:1].get()


def _items(team: Team, end: datetime) -> dict[str, list[StatementItem]]:
    """By currency, for the intervals of which more or less is billed than is known up to `end`."""
    until = Least(Coalesce("ended_at", Value(end)), Value(end))
    rows = UsageInterval.objects.filter(team=team.slug, started_at__lt=end).order_by()
    wrong = rows.annotate(billed=Coalesce(Sum("items__seconds"), 0), length=Seconds(until - F("started_at")))
    found: dict[str, list[StatementItem]] = defaultdict(list)
    for interval in wrong.exclude(billed=F("length")).prefetch_related("items").iterator(CHUNK):
        found[interval.currency] += _missing(interval, end)
    return found


def _missing(interval: UsageInterval, end: datetime) -> list[StatementItem]:
    """What brings its items up to what is known of it."""
    seconds = by_month(interval.started_at, min(interval.ended_at or end, end))
    for item in interval.items.all():
        seconds[item.month] -= item.seconds
    return [StatementItem(interval=interval, month=month, seconds=n) for month, n in seconds.items() if n]


def by_month(start: datetime, end: datetime) -> Counter[date]:
    """The seconds between two moments, in each month that they lie in."""
    found: Counter[date] = Counter()
    while start < end:
        first, after = clock.month_of(start)
        found[first.date()] = int((min(end, after) - start).total_seconds())
        start = after
    return found


def _write(team: Team, month: date, currency: str, items: list[StatementItem], unsure: int) -> Statement:
    spent = sum((one.seconds * one.interval.quantity * one.interval.price_per_hour for one in items), Decimal(0))
    total = Money(spent / SECONDS_PER_HOUR, currency).rounded()
    made = Statement.objects.create(
        team=team, month=month, currency=currency, spent=spent, total=total, unsure=unsure, made_at=clock.now()
    )
    for item in items:
        item.statement = made
    StatementItem.objects.bulk_create(items, CHUNK)
    facts = {"team": team.slug, "month": f"{month:%Y-%m}", "total": f"{total} {currency}", "unsure": unsure}
    record("statements", "statement.make", f"statement-{made.pk}", after=facts)
    return made


def exact(statement: Statement) -> Decimal:
    """What `total` is rounded from."""
    return statement.spent / SECONDS_PER_HOUR


def lines(statement: Statement) -> list[Line]:
    """Those of its month, then corrections of months before it; their `spent` add up to the statement's. One query."""
    held = Sum(F("seconds") * F("interval__quantity"), output_field=DecimalField(max_digits=40, decimal_places=4))
    names = ("user", "owner_kind", "template", "meter", "gpu_class", "price_per_hour")
    columns = [f"interval__{name}" for name in names]
    rows = statement.items.order_by("-month", *columns).values_list("month", *columns).annotate(held=held)
    return [Line(*row) for row in rows]
