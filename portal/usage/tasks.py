"""Celery's door to usage."""

from portal.celery import heavy
from portal.usage import statements


@heavy
def make_statements() -> None:
    """All that are due, one after the other."""
    while statements.make_due():
        pass
