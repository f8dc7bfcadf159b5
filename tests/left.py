"""What actions leave in the database, found once and inserted before each test: many times as fast as doing them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from django.apps import apps
from django.db import connection, transaction
from django.db.models import Model
from django.test import override_settings

from portal.audit.actions import record
from portal.audit.models import AuditEvent

Rows = dict[type[Model], list[Model]]


@dataclass(frozen=True)
class Left:
    """Their rows as SQL, and what they told the audit, whose chain is made anew."""

    rows: str
    told: list[dict[str, Any]]

    @classmethod
    def by(cls, act: Callable[[], object], **settings: Any) -> Self:
        """Of the database as it was, nothing is changed."""
        with override_settings(**settings), transaction.atomic():
            rows = _added(act)
            told = [dict(event) for event in AuditEvent.objects.values("actor", "verb", "target", "before", "after")]
            transaction.set_rollback(True)
        return cls(_as_sql(rows), told)

    def insert(self) -> None:
        with transaction.atomic():  # references between tables are checked at its end
            with connection.cursor() as cursor:
                cursor.execute(self.rows)
            for event in self.told:
                record(**event)


def _added(act: Callable[[], object]) -> Rows:
    models = [m for m in apps.get_models(include_auto_created=True) if m._meta.managed and m is not AuditEvent]
    before = {model: set(model._base_manager.values_list("pk", flat=True)) for model in models}
    act()
    return {model: list(model._base_manager.exclude(pk__in=before[model])) for model in models}


def _as_sql(rows: Rows) -> str:
    said: list[str] = []

    def keep(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        said.append(context["cursor"].mogrify(sql, params).decode())
        return execute(sql, params, many, context)

    with transaction.atomic():
        with connection.execute_wrapper(keep):
            for model, made in rows.items():
                model._base_manager.bulk_create(made)
        transaction.set_rollback(True)
    return ";".join(statement for statement in said if statement.startswith("INSERT"))
