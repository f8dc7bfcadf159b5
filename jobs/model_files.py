"""What the process `files` does for models: gives each version a volume with its files alone, which jobs can mount.

They are links to the files in the job's volume, so that a large model takes no room twice; copies where the two lie on
different disks.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from errno import EMLINK, EPERM, EXDEV

from django.db.models import Q

from environments.files.disk import opened
from jobs import registry
from jobs.model_models import ModelVersion
from jobs.model_states import VersionState
from jobs.registry import artifacts_at
from portal.lib import beneath, clock
from portal.lib.errors import Problem

LEASE = timedelta(minutes=15)
PIECE = 1024 * 1024
UNLINKABLE = (EXDEV, EPERM, EMLINK)


class Changed(Exception):
    """A file is not what it was when it was collected."""


def fill_one() -> bool:
    """One version that waits for its files; False when there is none. Doing it twice finds them there."""
    version = _claimed()
    if version is None:
        return False
    found = [(one.path, version.inside(one.path), one.size) for one in artifacts_at(version.job, version.path)]
    try:
        with opened(version.job.volume) as source, opened(version.volume) as target:
            _give(source, target, found)
    except Changed as error:
        registry.failed(version, f"{error} is not what it was when the job ended.")
    except (Problem, OSError) as error:
        registry.failed(version, f"Its files could not be kept: {getattr(error, 'detail', error)}")
    else:
        registry.filled(version)
    return True


def _claimed() -> ModelVersion | None:
    """One that nobody works on, for LEASE; a dead one's is taken over then."""
    free = Q(files_until=None) | Q(files_until__lt=clock.now())
    rows = ModelVersion.objects.filter(free, state=VersionState.WAITING, volume__made_at__isnull=False)
    pk = rows.order_by("id").values_list("pk", flat=True).first()
    if pk is None or not rows.filter(pk=pk).update(files_until=clock.now() + LEASE):
        return None
    return ModelVersion.objects.select_related("model", "volume", "job__volume").get(pk=pk)


def _give(source: int, target: int, found: Iterable[tuple[str, str, int]]) -> None:
    """Each with its path there, its path here, and its size."""
    for one, inside, size in found:
        *above, name = beneath.parts(one)
        *folders, wanted = beneath.parts(inside)
        with beneath.folder(source, above) as old, beneath.folder(target, folders, make=True) as new:
            if beneath.entry(old, name).size != size:
                raise Changed(one)
            _place(old, name, new, wanted)


def _place(old: int, name: str, new: int, wanted: str) -> None:
    with suppress(FileExistsError):
        try:
            os.link(name, wanted, src_dir_fd=old, dst_dir_fd=new, follow_symlinks=False)
        except OSError as error:
            if error.errno not in UNLINKABLE:
                raise
            _copy(old, name, new, wanted)


def _copy(old: int, name: str, new: int, wanted: str) -> None:
    """Aside, then named: never half there."""
    aside = f".copying-{os.getpid()}"
    with os.fdopen(beneath.read(old, name), "rb") as source, os.fdopen(beneath.append(new, aside), "wb") as copy:
        copy.truncate(0)
        while piece := source.read(PIECE):
            copy.write(piece)
    os.rename(aside, wanted, src_dir_fd=new, dst_dir_fd=new)
