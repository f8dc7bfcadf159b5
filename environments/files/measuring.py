"""Measures volumes from time to time, one by one."""

import logging
from collections import Counter
from datetime import timedelta
from decimal import Decimal

from django.db.models import F, Q

from environments import dataset_versions
from environments.files import uploads
from environments.files.disk import HIDDEN, opened
from environments.models import Volume
from environments.states import VolumeKind
from portal.compute.limits import Scope, Used
from portal.compute.models import GIB
from portal.lib import beneath, clock
from portal.lib.errors import Problem
from portal.quotas.states import Resource

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


def held() -> Used:
    """By homes and by folders of teams, in GiB, as last measured."""
    used: Used = Counter()
    shown = Q(kind=VolumeKind.HOME) | Q(kind=VolumeKind.TEAM)
    rows = Volume.objects.filter(shown, delete_requested_at=None)
    for owner, team, size in rows.values_list("owner", "team", "used"):
        whose: tuple[Scope, str] = ("team", team) if team else ("user", owner)
        used[*whose, Resource.STORAGE] = Decimal(size or 0) / GIB  # type: ignore[assignment]  # a Counter of decimals
    return used


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
