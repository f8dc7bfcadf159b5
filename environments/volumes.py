"""Volumes: each made when it is first asked for, and deleted when that was asked and nothing uses it any more."""

import logging

from django.conf import settings
from django.db.models import Q

from environments.models import Dataset, Image, Volume
from environments.states import ImageState, VolumeKind
from portal.accounts.models import Team, User
from portal.compute.engine import runtime
from portal.compute.models import Allocation
from portal.compute.states import Phase
from portal.lib import clock
from portal.live.redis import publish
from portal.usage import storage
from runtimes.base import RuntimeFailure

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 20
"""Volumes made on one tick; who waits for one starts it anyway."""


def home_of(owner: User) -> Volume:
    User.objects.select_for_update().get(pk=owner.pk)
    return _existing(kind=VolumeKind.HOME, owner=owner) or _new(VolumeKind.HOME, owner=owner)


def for_job(owner: User) -> Volume:
    """A new one: no two jobs work on the same files."""
    return _new(VolumeKind.JOB, owner=owner)


def for_jobs(owner: User, count: int) -> list[Volume]:
    """As `for_job`, many at once."""
    return Volume.objects.bulk_create([_made(VolumeKind.JOB, owner=owner) for _ in range(count)])


def for_model(owner: User) -> Volume:
    """A new one, for a version that `owner` keeps."""
    return _new(VolumeKind.MODEL, owner=owner)


def of_team(team: Team) -> Volume:
    Team.objects.select_for_update().get(pk=team.pk)
    return _existing(team=team) or _new(VolumeKind.TEAM, team=team)


def of_dataset(dataset: Dataset) -> Volume:
    Dataset.objects.select_for_update().get(pk=dataset.pk)
    return _existing(dataset=dataset) or _new(VolumeKind.DATASET, dataset=dataset)


def _existing(**whose: User | Team | Dataset | VolumeKind) -> Volume | None:
    return Volume.objects.select_related("team").filter(delete_requested_at=None, **whose).first()


def _new(kind: VolumeKind, **whose: User | Team | Dataset) -> Volume:
    volume = _made(kind, **whose)
    volume.save(force_insert=True)
    return volume


def _made(kind: VolumeKind, **whose: User | Team | Dataset) -> Volume:
    volume = Volume(kind=kind, **whose)
    volume.engine_name = f"berth-{settings.INSTANCE}-{kind}-{volume.pk}".lower()
    return volume


def ring_due() -> None:
    from environments import tasks
    from portal.celery import ring

    live = Q(deleted_at=None)
    for volume_id in Volume.objects.filter(live, delete_requested_at__isnull=False).values_list("pk", flat=True):
        ring(tasks.delete_volume, volume_id)
    missing = Volume.objects.filter(live, made_at=None, delete_requested_at=None).order_by("created_at")
    for volume_id in missing.values_list("pk", flat=True)[:MOST_AT_ONCE]:
        ring(tasks.make_volume, volume_id)


def make(volume_id: str) -> None:
    """Have it on the engine, belonging to people. Without any image it may have to wait for the next tick."""
    volume = Volume.objects.filter(pk=volume_id, made_at=None, delete_requested_at=None).first()
    if volume is None:
        return
    image = Image.objects.filter(state=ImageState.READY).values_list("digest", flat=True).first()
    try:
        made = runtime().make_volume(volume.engine_name, image)
    except RuntimeFailure as error:
        logger.info("volume %s is not made yet: %s", volume, error)
        return
    if made:
        Volume.objects.filter(pk=volume_id).update(made_at=clock.now())
        publish(volume.topic)


def seen(engine_name: str) -> None:
    """The engine has made it for a container that starts."""
    Volume.objects.filter(engine_name=engine_name, made_at=None).update(made_at=clock.now())


def changed(*volume_ids: str) -> None:
    """They are due to be measured again."""
    Volume.objects.filter(pk__in=volume_ids).update(measured_at=None)


def delete(volume_id: str) -> None:
    """Remove one volume; while a container still has it, the next tick tries again. It costs nothing since the wish."""
    volume = Volume.objects.filter(pk=volume_id, delete_requested_at__isnull=False, deleted_at=None).first()
    if volume is None or volume.delete_requested_at is None:
        return
    storage.release(volume.pk, volume.delete_requested_at)
    held = Allocation.objects.filter(spec__mounts__contains=[{"volume": volume.engine_name}])
    if held.exclude(phase=Phase.ENDED, next_look_at=None).exists():
        return
    try:
        runtime().remove_volume(volume.engine_name)
    except RuntimeFailure as error:
        logger.info("volume %s stays for now: %s", volume, error)
        return
    Volume.objects.filter(pk=volume_id).update(deleted_at=clock.now())
