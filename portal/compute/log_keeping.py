"""Removes the logs of what ended long ago."""

import logging
import shutil
from typing import Any

from django.conf import settings
from django.db import transaction

from portal.compute.models import Allocation, LogChunk
from portal.compute.states import LogState
from portal.lib import clock

logger = logging.getLogger(__name__)

BATCH = 20


def remove_due() -> None:
    """A few at a time, the oldest first. Files go before the rows that lead to them, so that none is forgotten."""
    if settings.LOG_KEPT is None:
        return
    kept = Allocation.objects.filter(started_at__isnull=False, log_removed_at=None).exclude(log_state=LogState.OPEN)
    for allocation in kept.filter(ended_at__lt=clock.now() - settings.LOG_KEPT).order_by("ended_at")[:BATCH]:
        _remove(allocation)


def _remove(allocation: Allocation) -> None:
    shutil.rmtree(settings.LOG_STORAGE / allocation.pk, onerror=_say)
    with transaction.atomic():
        LogChunk.objects.filter(allocation=allocation).delete()
        Allocation.objects.filter(pk=allocation.pk).update(log_state=LogState.REMOVED, log_removed_at=clock.now())


def _say(_call: Any, path: str, failure: Any) -> None:
    if not isinstance(failure[1], FileNotFoundError):
        logger.warning("%s stays although the log is removed: %s", path, failure[1])
