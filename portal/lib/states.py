"""Compare-and-swap on a row: the only way a state changes."""

from typing import Any, TypeVar

from django.db.models import Model, QuerySet

M = TypeVar("M", bound=Model)


def compare_and_swap(rows: QuerySet[Any], expected: dict[str, Any], changes: dict[str, Any]) -> bool:
    """Apply `changes` to the one row that still is as `expected`; False when someone was first."""
    return rows.filter(**expected).update(**changes) == 1


def refresh(row: M, changes: dict[str, Any]) -> M:
    """Show on the object in hand what was just written."""
    for name, value in changes.items():
        setattr(row, name, value)
    return row
