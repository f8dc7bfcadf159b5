"""Uploads that survive a lost connection: how much has come is the size of a partial file in the same volume."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from io import BytesIO
from typing import Protocol

from django.db import transaction
from django.db.models import F, Sum

from environments.files.access import Place
from environments.files.actions import changed, volume_of
from environments.files.disk import UPLOADS, Full, opened
from environments.files.upload_models import Upload
from environments.models import Volume
from portal.accounts.models import User
from portal.lib import beneath, clock, ids, words
from portal.lib.errors import Conflict, Invalid, NotFound, Problem

PIECE = 1024**2
LARGEST = 2**43
KEPT = timedelta(days=2)
MOST_OPEN = 200


class OverLimit(Problem):
    status = 413
    code = "over_limit"
    title = "Too large"


class Busy(Problem):
    status = 423
    code = "locked"
    title = "Busy"


class Source(Protocol):
    """Where bytes come from; nothing more when it has ended or broken off."""

    def read(self, size: int, /) -> bytes: ...


def begin(place: Place, folder: tuple[str, ...], name: str, length: int, *, user: User, replace: bool) -> Upload:
    """Room for a new file. Raises Invalid, OverLimit or Full before a single byte has come."""
    volume = volume_of(place)
    if not 0 <= length <= LARGEST:
        raise Invalid.field("length", f"A file may have up to {words.size(LARGEST)}.")
    if Upload.objects.filter(volume=volume, user=user).count() >= MOST_OPEN:
        raise Conflict("You have too many unfinished uploads here. Finish or cancel some first.", code="too_many")
    _must_fit(place, volume, length)
    upload = Upload(volume=volume, user=user, folder="/".join(folder), name=name, length=length, replace=replace)
    with opened(volume) as root:
        beneath.checked(name)
        with beneath.folder(root, folder):
            _must_have_room(root, length)
        with beneath.folder(root, UPLOADS, make=True) as stage:
            os.close(beneath.append(stage, upload.pk))
    upload.save(force_insert=True)
    return upload


def _must_fit(place: Place, volume: Volume, length: int) -> None:
    coming = Upload.objects.filter(volume=volume).aggregate(sum=Sum("length"))["sum"] or 0
    if place.limit is not None and (volume.used or 0) + coming + length > place.limit:
        raise OverLimit(
            f"{words.size(length)} more do not fit: {place.title} may hold {words.size(place.limit)}, and "
            f"{words.size((volume.used or 0) + coming)} are taken or on their way. Delete something first."
        )


def _must_have_room(root: int, length: int) -> None:
    here = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root)
    try:
        found = os.fstatvfs(here)
    finally:
        os.close(here)
    free = found.f_bavail * found.f_frsize
    if length > free:
        raise Full(f"{words.size(length)} do not fit: the disk has {words.size(free)} left.")


def upload_of(user: User, upload_id: str) -> Upload:
    known = ids.PATTERN.fullmatch(upload_id)
    found = Upload.objects.select_related("volume").filter(user=user, pk=upload_id).first() if known else None
    if found is None:
        raise NotFound("There is no such upload; it may be finished. Choose the file again to start over.")
    return found


def offset(upload: Upload) -> int:
    """How many bytes have come."""
    with _partial(upload) as (descriptor, _stage, _root):
        return os.fstat(descriptor).st_size


def append(upload: Upload, at: int, source: Source, *, actor: str) -> int:
    """Write what comes, from `at` on, and finish when all is there. How far it is now.

    What has come before the connection broke stays. Raises Conflict when `at` is not where it stands.
    """
    return _append(upload, at, source, actor)[0]


def complete(upload: Upload, size: int, *, actor: str) -> str:
    """All of it has come, and it is `size` bytes long. The name it got."""
    upload.length = size
    return _append(upload, size, BytesIO(), actor)[1]


def write(upload: Upload, content: bytes) -> None:
    """Put this to the end of what has come."""
    with _partial(upload) as (descriptor, _stage, _root):
        _write(descriptor, os.fstat(descriptor).st_size, upload.length, BytesIO(content))


def announce(upload: Upload, size: int) -> None:
    """What had to be guessed is known now."""
    Upload.objects.filter(pk=upload.pk).update(length=size)


def _append(upload: Upload, at: int, source: Source, actor: str) -> tuple[int, str]:
    finished = ""
    with _partial(upload) as (descriptor, stage, root):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy("This upload is under way elsewhere. It goes on when that has ended.") from None
        now = os.fstat(descriptor).st_size
        if at != now:
            raise Conflict(f"It stands at {now}, not at {at}.", code="offset")
        now = _write(descriptor, now, upload.length, source)
        if now == upload.length:
            folder = upload.folder.split("/") if upload.folder else []
            with beneath.folder(root, folder) as target:
                finished = beneath.place(stage, upload.pk, target, upload.name, replace=upload.replace)
    if finished:
        _finish(upload, finished, actor)
    else:
        Upload.objects.filter(pk=upload.pk).update(touched_at=clock.now())
    return now, finished


def _write(descriptor: int, now: int, length: int, source: Source) -> int:
    os.lseek(descriptor, now, os.SEEK_SET)
    with suppress(ConnectionError):
        while piece := source.read(PIECE):
            if now + len(piece) > length:
                raise OverLimit(f"More has come than the {words.size(length)} that were announced.")
            while piece:
                written = os.write(descriptor, piece)
                now, piece = now + written, piece[written:]
    return now


@transaction.atomic
def _finish(upload: Upload, name: str, actor: str) -> None:
    path = [*([upload.folder] if upload.folder else []), name]
    changed(upload.volume, "file.upload", path, actor, after={"bytes": upload.length})
    Volume.objects.filter(pk=upload.volume_id).update(used=F("used") + upload.length)
    upload.delete()


@contextmanager
def _partial(upload: Upload) -> Iterator[tuple[int, int, int]]:
    """The partial file, the folder it is in, and the volume."""
    with opened(upload.volume) as root, beneath.folder(root, UPLOADS) as stage:
        descriptor = beneath.append(stage, upload.pk)
        try:
            yield descriptor, stage, root
        finally:
            os.close(descriptor)


def cancel(upload: Upload) -> None:
    """It and what has come of it are gone. Cancelling twice is no error."""
    with suppress(NotFound), opened(upload.volume) as root, beneath.folder(root, UPLOADS) as stage:
        os.unlink(upload.pk, dir_fd=stage)
    Upload.objects.filter(pk=upload.pk).delete()


def sweep(volume: Volume) -> None:
    """Forget uploads that nobody has gone on with, and partial files that no upload explains."""
    for stale in Upload.objects.select_related("volume").filter(volume=volume, touched_at__lt=clock.now() - KEPT):
        cancel(stale)
    known = set(Upload.objects.filter(volume=volume).values_list("pk", flat=True))
    oldest = (clock.now() - KEPT).timestamp()
    with suppress(NotFound), opened(volume) as root, beneath.folder(root, UPLOADS) as stage:
        for found in beneath.entries(stage, 10_000)[0]:
            if found.name not in known and found.modified.timestamp() < oldest:
                beneath.remove(stage, found.name)
