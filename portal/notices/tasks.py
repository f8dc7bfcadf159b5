"""Celery's door to notices."""

from portal.celery import short
from portal.notices import delivering


@short
def deliver() -> None:
    delivering.deliver_due()
