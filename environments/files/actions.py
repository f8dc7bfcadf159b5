"""Writes to volumes: folders, names, deletions; each leaves a line in the audit record."""

import os
from typing import Any

from django.db import transaction

from environments import tasks, volumes
from environments.files.access import Place
from environments.files.disk import HIDDEN, NotMade, opened, spoken
from environments.models import Dataset, Volume
from portal.accounts.models import Team, User
from portal.audit.actions import record
from portal.celery import ring
from portal.lib import beneath
from portal.lib.errors import Invalid


@transaction.atomic
def prepare(place: Place, *, actor: str) -> Volume:
    """Have the volume made. Asking again is no error."""
    match place.whose:
        case User() as owner:
            volume = volumes.home_of(owner)
        case Team() as team:
            volume = volumes.of_team(team)
        case Dataset() as dataset:
            volume = volumes.of_dataset(dataset)
    if place.volume is None:
        record(actor, "volume.create", volume.topic, after={"folder": place.inside})
    transaction.on_commit(lambda: ring(tasks.make_volume, volume.pk))
    return volume


def volume_of(place: Place) -> Volume:
    if place.volume is None:
        raise NotMade(f"{place.title} is not there yet.")
    return place.volume


def make_folder(place: Place, folder: tuple[str, ...], name: str, *, actor: str) -> None:
    volume = volume_of(place)
    with opened(volume) as root, beneath.folder(root, folder) as where:
        os.mkdir(_new(folder, name), dir_fd=where)
    changed(volume, "file.make_folder", [*folder, name], actor)


def rename(place: Place, path: tuple[str, ...], name: str, *, actor: str) -> None:
    volume, (*above, old) = volume_of(place), _not_top(path)
    with opened(volume) as root, beneath.folder(root, above) as where:
        if name != old:
            beneath.rename(where, old, _new(tuple(above), name))
    changed(volume, "file.rename", path, actor, after={"name": name})


def delete(place: Place, path: tuple[str, ...], *, actor: str) -> None:
    """A file, or a folder with all in it."""
    volume, (*above, name) = volume_of(place), _not_top(path)
    try:
        with opened(volume) as root, beneath.folder(root, above) as where:
            beneath.remove(where, name)
    finally:  # of a large folder a part may be gone
        changed(volume, "file.delete", path, actor)


@transaction.atomic
def changed(volume: Volume, verb: str, path: Any, actor: str, after: dict[str, Any] | None = None) -> None:
    """Recorded, and due to be measured again."""
    record(actor, verb, volume.topic, before={"path": "/".join(path)}, after=after or {})
    volumes.changed(volume.pk)


def _new(folder: tuple[str, ...], name: str) -> str:
    with spoken():
        beneath.checked(name)
    if not folder and name == HIDDEN:
        raise Invalid.field("name", f"“{HIDDEN}” is where Berth keeps unfinished uploads. Choose another name.")
    return name


def _not_top(path: tuple[str, ...]) -> tuple[str, ...]:
    if not path:
        raise Invalid.field("name", "The whole folder can neither be renamed nor deleted here.")
    return path
