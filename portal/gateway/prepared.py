"""A query of the ORM that is compiled once, and planned once per database connection.

Planning the joins behind the door takes PostgreSQL a hundred times as long as running them, and it is asked
at every request. Needs connections that stay with their server (no statement-level pooler between).
"""

import itertools
import re
from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from typing import Any
from weakref import WeakSet

from django.db import connection
from django.db.models import QuerySet

from portal.lib import clock


class Prepared:
    """`build` gets a stand-in for each of `names` and returns the query; every time in it means now."""

    def __init__(self, statement: str, build: Callable[..., QuerySet[Any, Any]], names: tuple[str, ...]) -> None:
        self._statement, self._build, self._names = statement, build, names
        self._prepared_on: WeakSet[Any] = WeakSet()

    @cached_property
    def _compiled(self) -> tuple[str, tuple[Any, ...]]:
        rows = self._build(**{name: f"<{name}>" for name in self._names}).order_by()
        sql, parameters = rows.query.sql_with_params()
        numbers = itertools.count(1)
        return re.sub("%s", lambda _: f"${next(numbers)}", sql), parameters

    def first(self, **values: str) -> tuple[Any, ...] | None:
        sql, parameters = self._compiled
        known = {f"<{name}>": value for name, value in values.items()}
        now = clock.now()
        arguments = [now if isinstance(one, datetime) else _filled(one, known) for one in parameters]
        with connection.cursor() as cursor:
            if connection.connection not in self._prepared_on:
                cursor.execute(f"PREPARE {self._statement} AS {sql}")
                self._prepared_on.add(connection.connection)
            places = ", ".join(["%s"] * len(arguments))
            cursor.execute(f"EXECUTE {self._statement} ({places})", arguments)
            row: tuple[Any, ...] | None = cursor.fetchone()
            return row


def _filled(parameter: Any, known: dict[str, str]) -> Any:
    return known.get(parameter, parameter) if isinstance(parameter, str) else parameter
