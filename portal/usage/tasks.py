"""Celery's door to usage."""

from portal.celery import heavy
from portal.usage import statements, totals


@heavy
def make_statements() -> None:
    """All that are due, one after the other."""
    while statements.make_due():
        pass


@heavy
def check_totals() -> None:
    """All of them, with the ledger."""
    totals.check()
