"""The tick: what must happen even if every message is lost. Two tickers at once, or none for a while, do no harm."""

import logging
from collections.abc import Callable
from datetime import timedelta

from celery.exceptions import SoftTimeLimitExceeded
from django.db import transaction

from portal.compute import admission
from portal.compute.models import Allocation, Heartbeat
from portal.lib import clock, locks

logger = logging.getLogger(__name__)

EVERY_SECONDS = 2.0
SILENCE = timedelta(seconds=8)
"""After this long without a worker's tick the agent ticks itself."""
BATCH = 50
_LOCK = 7_201_003

_extra: list[Callable[[], None]] = []


def also(body: Callable[[], None]) -> None:
    """Let another app do its due work on every tick; `body` must be short and idempotent."""
    if body not in _extra:
        _extra.append(body)


def tick(name: str, look: Callable[[str], None]) -> None:
    """Admit, `look` at every allocation that is due, and let the other apps do theirs."""
    beat(name)
    for allocation_id in {*admission.admit(), *_due()}:
        look(allocation_id)
    for body in _extra:
        try:
            body()
        except SoftTimeLimitExceeded:
            raise
        except Exception:
            logger.exception("part of the tick failed: %s", body.__qualname__)


@transaction.atomic
def _due() -> list[str]:
    """Allocations to look at now. The lock keeps two tickers from picking the same ones."""
    if not locks.try_to_take(_LOCK):
        return []
    due = Allocation.objects.filter(next_look_at__lte=clock.now()).order_by("next_look_at")
    ids = list(due.values_list("pk", flat=True)[:BATCH])
    Allocation.objects.filter(pk__in=ids).update(next_look_at=clock.now() + timedelta(seconds=5))
    return ids


def beat(name: str) -> None:
    Heartbeat.objects.update_or_create(name=name, defaults={"at": clock.now()})


def silent(name: str, longer_than: timedelta = SILENCE) -> bool:
    last = Heartbeat.objects.filter(name=name).values_list("at", flat=True).first()
    return last is None or clock.now() - last > longer_than
