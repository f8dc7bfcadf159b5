"""Deletes volumes that were asked to go, once nothing uses them any more."""

import logging

from environments.models import Volume
from portal.compute.engine import runtime
from portal.compute.models import Allocation
from portal.compute.states import Phase
from portal.lib import clock
from runtimes.base import RuntimeFailure

logger = logging.getLogger(__name__)


def ring_due() -> None:
    from environments import tasks
    from portal.celery import ring

    for volume_id in Volume.objects.filter(delete_requested_at__isnull=False, deleted_at=None).values_list(
        "pk", flat=True
    ):
        ring(tasks.delete_volume, volume_id)


def delete(volume_id: str) -> None:
    """Remove one volume; while a container still has it, the next tick tries again."""
    volume = Volume.objects.filter(pk=volume_id, delete_requested_at__isnull=False, deleted_at=None).first()
    if volume is None:
        return
    owners = volume.workspaces.values_list("pk", flat=True)
    held = Allocation.objects.filter(owner_kind="workspace", owner_id__in=list(owners))
    if held.exclude(phase=Phase.ENDED, next_look_at=None).exists():
        return
    try:
        runtime().remove_volume(volume.engine_name)
    except RuntimeFailure as error:
        logger.info("volume %s stays for now: %s", volume, error)
        return
    Volume.objects.filter(pk=volume_id).update(deleted_at=clock.now())
