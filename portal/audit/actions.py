"""Records and verifies what was done."""

import hashlib
import json
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, transaction

from portal.audit.models import AuditEvent
from portal.lib import clock

GENESIS = "0" * 64
_CHAIN_LOCK = 7_201_001


def _hash(event: AuditEvent) -> str:
    content = [event.previous_hash, event.at.isoformat(), event.actor, event.verb, event.target]
    return hashlib.sha256(json.dumps([*content, event.before, event.after], sort_keys=True).encode()).hexdigest()


def record(
    actor: str,
    verb: str,
    target: str,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> AuditEvent:
    """Append one event, in the caller's transaction. `before` and `after` hold what changed, JSON-able."""
    with transaction.atomic(savepoint=False):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_CHAIN_LOCK])
        last = AuditEvent.objects.order_by("-id").values_list("hash", flat=True).first()
        event = AuditEvent(
            at=clock.now(),
            actor=actor,
            verb=verb,
            target=target,
            before=_plain(before),
            after=_plain(after),
            previous_hash=last or GENESIS,
        )
        event.hash = _hash(event)
        event.save(force_insert=True)
    return event


def _plain(values: dict[str, Any] | None) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(values or {}, cls=DjangoJSONEncoder))
    return plain


def verify() -> list[int]:
    """Ids of events whose hash or link does not hold; empty when the chain is whole."""
    broken: list[int] = []
    previous = GENESIS
    for event in AuditEvent.objects.order_by("id").iterator():
        if event.previous_hash != previous or event.hash != _hash(event):
            broken.append(event.id)
        previous = event.hash
    return broken
