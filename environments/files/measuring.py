"""Measures volumes from time to time, one by one."""

import logging
from datetime import timedelta

from django.db.models import F, Q

from environments import dataset_versions
from environments.files import uploads
from environments.files.disk import HIDDEN, opened
from environments.models import Volume
from environments.states import VolumeKind
from portal.lib import beneath, clock
from portal.lib.errors import Problem

logger = logging.getLogger(__name__)

EVERY = timedelta(minutes=30)
DATASETS_EVERY = timedelta(minutes=5)
"""Their changes are waited for."""
SECONDS = 120.0
MOST = 5_000_000


def measure_one() -> bool:
    """The volume that waits longest; False when none is due. Two processes never take the same one."""
    now = clock.now()
    due = Q(measured_at=None) | Q(measured_at__lt=now - EVERY)
    due |= Q(kind=VolumeKind.DATASET, measured_at__lt=now - DATASETS_EVERY)
    rows = Volume.objects.filter(due, made_at__isnull=False, delete_requested_at=None)
    volume = rows.order_by(F("measured_at").asc(nulls_first=True)).first()
    if volume is None:
        return False
    taken = Volume.objects.filter(pk=volume.pk, measured_at=volume.measured_at).update(measured_at=now)
    if taken:
        _measure(volume)
    return True


def _measure(volume: Volume) -> None:
    but = (HIDDEN,) if volume.dataset_id else ()
    try:
        uploads.sweep(volume)
        with opened(volume) as root:
            found = beneath.extent(root, seconds=SECONDS, most=MOST, but=but)
    except (Problem, OSError) as error:
        logger.info("volume %s could not be measured: %s", volume, error)
        return
    if found.whole or found.bytes > (volume.used or 0):  # what was counted is there at least
        Volume.objects.filter(pk=volume.pk).update(used=found.bytes)
    if volume.dataset_id and found.whole:
        dataset_versions.saw(volume.dataset_id, found)
