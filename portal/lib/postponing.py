"""Rows of due work: one that a fault of ours keeps from being done is left alone for a while, and holds up no other."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded

from portal.lib import clock

logger = logging.getLogger(__name__)

POSTPONED = timedelta(minutes=1)


class Postponed:
    """The rows of one kind of work that failed here lately. Each process has its own: none must know of another's."""

    def __init__(self, work: str) -> None:
        self._work = work
        self._until: dict[Any, datetime] = {}

    def rows(self) -> list[Any]:
        """Their primary keys, to be left out of what is due."""
        now = clock.now()
        self._until = {pk: until for pk, until in self._until.items() if until > now}
        return list(self._until)

    @contextmanager
    def trying(self, pk: Any) -> Iterator[None]:
        """What the block raises is logged, and the row left alone for POSTPONED; but not that time is up."""
        try:
            yield
        except SoftTimeLimitExceeded:
            raise
        except Exception:
            logger.exception("%s of %s is postponed: a bug on our side", self._work, pk)
            self._until[pk] = clock.now() + POSTPONED
