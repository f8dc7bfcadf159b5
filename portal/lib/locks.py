"""Locks on a number, held until the transaction ends; by a process that halts amid it, for HALTED at most."""

from typing import Any

from django.db import connection

HALTED = "20s"
"""Whoever asks the database nothing for so long has halted, as in a machine that sleeps: its transaction is undone."""


def take(number: int) -> None:
    """As soon as nobody else has it. Inside a transaction only."""
    _ask("pg_advisory_xact_lock", number)


def try_to_take(number: int) -> bool:
    """At once, or not. Inside a transaction only."""
    return bool(_ask("pg_try_advisory_xact_lock", number))


def _ask(function: str, number: int) -> Any:
    with connection.cursor() as cursor:
        query = f"SELECT set_config('idle_in_transaction_session_timeout', %s, true), {function}(%s)"
        cursor.execute(query, [HALTED, number])
        return cursor.fetchone()[1]
