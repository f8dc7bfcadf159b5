"""What the page of the audit record shows: the events that match, and what each of them changed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from portal.approvals.days import begin_of, end_of
from portal.audit.models import AuditEvent

LONGEST_VALUE = 200
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Change:
    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Row:
    event: AuditEvent
    changes: list[Change]


def rows(events: list[AuditEvent]) -> list[Row]:
    return [Row(event, changes(event.before, event.after)) for event in events]


def matching(wanted: Mapping[str, Any]) -> QuerySet[AuditEvent]:
    """Newest first; `wanted` is what AuditForm cleaned."""
    found = AuditEvent.objects.order_by("-id")
    if wanted["actor"]:
        found = found.filter(actor=wanted["actor"])
    if wanted["verb"]:
        found = found.filter(verb__startswith=wanted["verb"])
    if wanted["target"]:
        found = _of_target(found, wanted["target"])
    if wanted["since"]:
        found = found.filter(at__gte=begin_of(wanted["since"]))
    if wanted["until"]:
        found = found.filter(at__lt=end_of(wanted["until"]))
    if wanted["before"]:
        found = found.filter(id__lt=wanted["before"])
    return found


def _of_target(found: QuerySet[AuditEvent], target: str) -> QuerySet[AuditEvent]:
    """Of the one called just so; where none is, of all whose names begin so."""
    exactly = AuditEvent.objects.filter(target=target)
    return found.filter(target=target) if exactly.exists() else found.filter(target__startswith=target)


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Only the fields that differ, in the order in which they were noted."""
    pairs = {name: (before.get(name, _ABSENT), after.get(name, _ABSENT)) for name in [*before, *after]}
    return [Change(name, _words(old), _words(new)) for name, (old, new) in pairs.items() if old != new]


def _words(value: Any) -> str:
    match value:
        case str():
            text = value or "empty"
        case bool():
            text = "yes" if value else "no"
        case None:
            text = "none"
        case _ if value is _ABSENT:
            text = "—"
        case _:
            text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"
