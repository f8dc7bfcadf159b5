"""Measures volumes from time to time, one by one, and meters what they keep."""

import logging
from collections import Counter
from datetime import timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import F, Q

from environments import dataset_versions
from environments.files import charging, uploads
from environments.files.disk import HIDDEN, opened
from environments.models import Volume
from environments.states import VolumeKind
from portal.compute.limits import Scope, Used
from portal.compute.models import GIB
from portal.lib import beneath, clock
from portal.lib.errors import Problem
from portal.quotas.states import Resource
from portal.usage import storage

logger = logging.getLogger(__name__)

EVERY = timedelta(minutes=30)
DATASETS_EVERY = timedelta(minutes=5)
"""Their changes are waited for."""
OTHERS_EVERY = timedelta(days=1)
"""Those of jobs and models: who changes one for the last time has it measured."""
SECONDS = 120.0
MOST = 5_000_000


def measure_one() -> bool:
    """The volume that waits longest; False when none is due. Two processes never take the same one."""
    now = clock.now()
    due = Q(measured_at=None) | Q(measured_at__lt=now - OTHERS_EVERY)
    due |= Q(kind__in=[VolumeKind.HOME, VolumeKind.TEAM], measured_at__lt=now - EVERY)
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
        _found(volume.pk, found.bytes)
    if volume.dataset_id and found.whole:
        dataset_versions.saw(volume.dataset_id, found)


@transaction.atomic
def _found(pk: str, size: int) -> None:
    """Of what somebody got rid of meanwhile nothing more is metered."""
    row = Volume.objects.select_for_update(of=("self",), no_key=True).select_related("owner", "team", "dataset")
    volume = row.filter(pk=pk, delete_requested_at=None).first()
    if volume is not None:
        Volume.objects.filter(pk=pk).update(used=size)
        storage.hold(pk, size, charging.charged([volume])[pk].payer)
