"""Compares the catalog's datasets with what is published, and publishes them; files of a retired one stay."""

from collections.abc import Iterator
from typing import Any

from environments.models import Dataset


def changes(wanted: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Sign and line of each difference."""
    published = {dataset.name: dataset for dataset in Dataset.objects.filter(retired=False)}
    for one in wanted:
        before = published.pop(one["name"], None)
        if before is None:
            yield "+", f"dataset {one['name']}"
        elif fields := [name for name, value in _columns(one).items() if getattr(before, name) != value]:
            yield "~", f"dataset {one['name']}: {', '.join(fields)}"
    yield from (("-", f"dataset {name}") for name in published)


def publish(wanted: list[dict[str, Any]]) -> None:
    for one in wanted:
        Dataset.objects.update_or_create(name=one["name"], defaults=_columns(one) | {"retired": False})
    Dataset.objects.exclude(name__in=[one["name"] for one in wanted]).update(retired=True)


def _columns(one: dict[str, Any]) -> dict[str, Any]:
    return {"summary": one["summary"], "teams": one["teams"], "kept_by": one.get("kept_by", "")}
