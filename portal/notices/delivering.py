"""Sends what waits: claimed by a lease, tried again with growing pauses, given up in the end.

At least once: what was sent but not noted, because the worker was killed, is sent again with the same id.
"""

import logging
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from portal.celery import SHORT_LIMIT, ring
from portal.lib import clock
from portal.lib.outward import Refused
from portal.lib.states import compare_and_swap
from portal.live.redis import publish
from portal.notices import mails, webhooks
from portal.notices.access import topic
from portal.notices.models import Delivery
from portal.notices.states import Channel, DeliveryState, wait_after

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=SHORT_LIMIT)
"""No task lives longer."""
ROUNDS = timedelta(seconds=SHORT_LIMIT // 3)
"""For so long one task goes on with what has become due meanwhile."""
AT_ONCE = 16
OUR_FAULT = "A fault in Berth; an administrator finds it in the log."
_LOCK = 7_201_004

Parcel = list[Delivery]
"""What goes to one receiver at once: one, or all that is daily."""
SEND: dict[str, Callable[[Parcel], None]] = {Channel.MAIL: mails.deliver, Channel.WEBHOOK: webhooks.deliver}
"""Each raises Refused with a sentence for its owner; they run side by side and read no database."""


def ring_due() -> None:
    """Part of every tick."""
    if _due().exists():
        ring_courier()


def ring_courier() -> None:
    from portal.notices import tasks

    ring(tasks.deliver)


def deliver_due() -> None:
    """Try all that is due. One slow receiver keeps the others waiting for its time-out, never longer."""
    ends = clock.now() + ROUNDS
    with ThreadPoolExecutor(AT_ONCE) as pool:
        while clock.now() < ends and (parcels := _claimed()):
            for parcel, error in zip(parcels, pool.map(_tried, parcels), strict=True):
                now = clock.now()
                for delivery in parcel:
                    _note(delivery, error, now)


def _due() -> QuerySet[Delivery]:
    """Not to who can no longer sign in, nor to a webhook that is off."""
    may = Q(webhook=None) | Q(webhook__enabled=True)
    now = clock.now()
    return Delivery.objects.filter(may, state=DeliveryState.WAITING, next_at__lte=now, notice__user__is_active=True)


@transaction.atomic
def _claimed() -> list[Parcel]:
    """The next one of each receiver; none while another worker is at it, so that slow receivers hold up one worker."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        if not cursor.fetchone()[0]:
            return []
    now = clock.now()
    if Delivery.objects.filter(state=DeliveryState.WAITING, leased_until__gt=now).exists():
        return []
    receiver = ("webhook_id", "notice__user_id")
    first = _due().order_by(*receiver, "next_at", "pk").distinct(*receiver)
    ids = list(Delivery.objects.filter(pk__in=first.values("pk")).order_by("next_at").values_list("pk", flat=True))
    first_ids = ids[:AT_ONCE]
    people = Delivery.objects.filter(pk__in=first_ids, daily=True).values("notice__user")
    rows = Delivery.objects.filter(Q(pk__in=first_ids) | Q(pk__in=_due().filter(daily=True, notice__user__in=people)))
    rows.update(leased_until=now + LEASE)
    claimed = Delivery.objects.filter(leased_until=now + LEASE).select_related("notice__user", "webhook")
    parcels: dict[str, Parcel] = defaultdict(list)
    for row in claimed.order_by("next_at", "pk"):
        parcels[row.notice.user_id if row.daily else str(row.pk)].append(row)
    return list(parcels.values())


def _tried(parcel: Parcel) -> str:
    """Why it was not taken; empty when it was."""
    try:
        SEND[parcel[0].channel](parcel)
    except Refused as why:
        return str(why)
    except Exception:
        logger.exception("delivery %s could not be tried", parcel[0].pk)
        return OUR_FAULT
    return ""


def _note(delivery: Delivery, error: str, now: datetime) -> None:
    """How the try went. Zero rows: its lease ran out, and somebody else noted theirs."""
    tries = delivery.tries + 1
    wait = wait_after(tries)
    changes = {"tries": tries, "error": error, "leased_until": None}
    if error and wait is not None:
        changes |= {"next_at": now + wait}
    else:
        state = DeliveryState.FAILED if error else DeliveryState.SENT
        changes |= {"state": state, "next_at": None, "ended_at": now}
    expected = {"pk": delivery.pk, "state": DeliveryState.WAITING, "tries": delivery.tries}
    if compare_and_swap(Delivery.objects.all(), expected, changes):
        publish(topic(delivery.notice.user_id))
