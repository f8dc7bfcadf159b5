"""What the process `files` does for jobs: copies the folders and archives they begin with, and lists what they left."""

import hashlib
import logging
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TypeVar

from django.db import transaction
from django.db.models import Q
from django.db.models.query import QuerySet

from environments import volumes
from environments.files.disk import HIDDEN, as_berth, opened
from jobs import registry, snapshots, unpacking
from jobs.models import Artifact, Job, Snapshot
from jobs.spec import CODE, OUTPUTS
from jobs.states import ArtifactsState, JobState
from portal.lib import beneath, clock, words
from portal.lib.errors import NotFound, Problem
from portal.live.redis import publish

logger = logging.getLogger(__name__)
Row = TypeVar("Row", Job, Snapshot)

LEASE = timedelta(seconds=30)
MOST_CODE = 2 * 1024**3
MOST_FILES = 20_000
PIECE = 1024 * 1024
LEFT_OUT = frozenset({HIDDEN, "__pycache__", ".ipynb_checkpoints", ".venv", "node_modules", ".cache"})
"""Never copied: what tools make again by themselves."""
ASIDE = ".copying-"
UNPACKED = f"{ASIDE}archive"


class TooMuch(Exception):
    """The folder is larger than what is copied."""


class Taken(Exception):
    """It took so long to go on that somebody else does it."""


@dataclass(slots=True)
class Copy:
    """How much was copied, and the sha256 over each file's path and content, in the order of paths.

    `keep` is called again and again while it goes on (see _keep).
    """

    keep: Callable[[], None]
    bytes: int = 0
    files: int = 0
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def add(self, path: str, size: int, content: str) -> None:
        self.files, self.bytes = self.files + 1, self.bytes + size
        self.digest.update(f"{path}\0{content}\n".encode(errors="surrogateescape"))
        self.check(self.files, self.bytes)

    def check(self, files: int, size: int) -> None:
        """Called again and again, also while an archive is unpacked, before any of it is copied."""
        self.keep()
        if files > MOST_FILES or size > MOST_CODE:
            raise TooMuch


def copy_one() -> bool:
    """One snapshot that waits for it; False when there is none."""
    snapshot = _claimed(snapshots.waiting().select_related("volume", "source__owner"))
    if snapshot is None:
        return False
    try:
        snapshots.arrived(snapshot, _copied(snapshot))
    except Taken:
        logger.warning("code of %s: taken over by another", snapshot)
    except TooMuch:
        most = f"{MOST_FILES:,} files and {words.size(MOST_CODE)}"
        snapshots.failed(snapshot, f"{snapshot} is too large to be copied: {most} at most. Choose less.")
    except NotFound:
        whose = snapshot.source.owner
        snapshots.failed(
            snapshot, f"There is no folder or archive {snapshot} in the home of {whose and whose.get_full_name()}."
        )
    except Problem as problem:
        snapshots.failed(snapshot, f"Its code could not be copied: {problem.detail}")
    except OSError as error:
        logger.exception("code of %s", snapshot)
        snapshots.failed(snapshot, f"Its code could not be copied: {error.strerror or error}.")
    return True


def _claimed(rows: QuerySet[Row]) -> Row | None:
    """The first that nobody works on, for LEASE, renewed while work goes on; a dead one's is taken over then."""
    free = rows.filter(Q(files_until=None) | Q(files_until__lt=clock.now()))
    found, until = free.first(), clock.now() + LEASE
    if found is None or not free.filter(pk=found.pk).update(files_until=until):
        return None
    found.files_until = until
    return found


def _keep(row: Job | Snapshot) -> None:
    """Renew the lease when a third of it is over. Raises Taken when it is somebody else's."""
    now = clock.now()
    if row.files_until and row.files_until - now > LEASE * 2 / 3:
        return
    with as_berth():
        mine = type(row)._default_manager.filter(pk=row.pk, files_until=row.files_until)
        if not mine.update(files_until=now + LEASE):
            raise Taken
    row.files_until = now + LEASE


def _copied(snapshot: Snapshot) -> str:
    """Copies aside, then names it: never half there. The sha256 of what was copied."""
    names = beneath.parts("" if snapshot.folder == "." else snapshot.folder)
    aside, made = f"{ASIDE}{os.getpid()}", Copy(partial(_keep, snapshot))
    with (
        opened(snapshot.source) as home,
        opened(snapshot.volume) as root,
        _emptied(root, aside) as target,
        _source(home, names, root, made) as source,
    ):
        _copy_folder(source, target, "", made, top=not names)
        made.keep()
        with suppress(FileExistsError, OSError):  # somebody else was first
            os.rename(aside, CODE, src_dir_fd=root, dst_dir_fd=root)
    return made.digest.hexdigest()


@contextmanager
def _source(home: int, names: tuple[str, ...], root: int, made: Copy) -> Iterator[int]:
    """The folder that is asked for; of an archive, what is in it, unpacked into `root`."""
    if not names or not unpacking.is_archive(names[-1]) or _kind(home, names) != "file":
        with beneath.folder(home, names) as source:
            yield source
        return
    with (
        beneath.folder(home, names[:-1]) as above,
        beneath.folder(root, (UNPACKED,), make=True) as unpacked,
    ):
        unpacking.unpack(above, names[-1], unpacked, made.check)
        with beneath.folder(unpacked, unpacking.only_folder(unpacked)) as source:
            yield source


def _kind(home: int, names: tuple[str, ...]) -> str:
    with beneath.folder(home, names[:-1]) as above:
        return beneath.entry(above, names[-1]).kind


@contextmanager
def _emptied(root: int, aside: str) -> Iterator[int]:
    """The folder to copy into, with nothing of what a dead copier has left; afterwards nothing aside is left."""
    _clear(root)
    try:
        with beneath.folder(root, (aside,), make=True) as made:
            yield made
    except Taken:
        raise  # what is aside now is the other's
    except BaseException:
        _clear(root)
        raise
    _clear(root)


def _clear(root: int) -> None:
    for name in beneath.names(root):
        if name.startswith(ASIDE):
            beneath.remove(root, name)


def _copy_folder(source: int, target: int, path: str, made: Copy, *, top: bool) -> None:
    """Ordinary files and folders as they are, links as links; of a whole home nothing hidden."""
    for name in beneath.names(source):
        if name in LEFT_OUT or (top and name.startswith(".")):
            continue
        made.keep()
        found = os.stat(name, dir_fd=source, follow_symlinks=False)
        inside = f"{path}{name}"
        if stat.S_ISDIR(found.st_mode):
            with beneath.folder(source, (name,)) as deeper, beneath.folder(target, (name,), make=True) as into:
                _copy_folder(deeper, into, f"{inside}/", made, top=False)
        elif stat.S_ISLNK(found.st_mode):
            link = os.readlink(name, dir_fd=source)
            os.symlink(link, name, dir_fd=target)
            made.add(inside, 0, f"-> {link}")
        elif stat.S_ISREG(found.st_mode):
            made.check(made.files, made.bytes + found.st_size)
            _copy_file(source, target, name, inside, made)


def _copy_file(source: int, target: int, name: str, path: str, made: Copy) -> None:
    sha = hashlib.sha256()
    with os.fdopen(beneath.read(source, name), "rb") as old, os.fdopen(beneath.append(target, name), "wb") as new:
        os.fchmod(new.fileno(), os.fstat(old.fileno()).st_mode & 0o777 | 0o600)
        while piece := old.read(PIECE):
            made.keep()
            sha.update(piece)
            new.write(piece)
        size = new.tell()
    made.add(path, size, sha.hexdigest())


def collect_one() -> bool:
    """List what one ended job has left; False when none waits. Doing it twice finds the same."""
    ended = Job.objects.filter(artifacts_state=ArtifactsState.WAITING, volume__made_at__isnull=False)
    job = _claimed(ended.select_related("volume").order_by("id"))
    if job is None:
        return False
    left = Left(job)
    try:
        with opened(job.volume) as root:
            left.look(root)
    except Taken:
        return True
    except (Problem, OSError) as problem:
        left.lacks("what it left", problem)
    with transaction.atomic():
        Artifact.objects.bulk_create(left.found.values(), ignore_conflicts=True)
        state = ArtifactsState.COMPLETE if left.whole else ArtifactsState.PARTIAL
        waiting = Job.objects.filter(pk=job.pk, artifacts_state=ArtifactsState.WAITING)
        if waiting.update(artifacts_state=state, files_until=None) and job.state == JobState.SUCCEEDED:
            registry.keep_asked(job)
        volumes.changed(job.volume_id)
        publish(job.topic)
    return True


class Left:
    """What a job left below its outputs, by path; `whole` unless some of it could not be read."""

    def __init__(self, job: Job) -> None:
        self.job, self.found, self.whole = job, dict[str, Artifact](), True

    def look(self, root: int) -> None:
        """Every ordinary file below an output, each once; links are not followed."""
        for names in dict.fromkeys([(OUTPUTS,), *((CODE, *beneath.parts(one)) for one in self.job.outputs)]):
            self._add(root, names)

    def _add(self, root: int, names: tuple[str, ...]) -> None:
        """A file, or all below a folder, in the order of paths; what cannot be read is left out and noted."""
        path = "/".join(names)
        if not beneath.plain(path):
            self.lacks(ascii(path), "its name is no plain text")
            return
        inside: list[str] = []
        try:
            inside = self._read(root, names, path)
        except FileNotFoundError:
            pass
        except OSError as problem:
            self.lacks(ascii(path), problem)
        for name in inside:
            if name not in LEFT_OUT:
                self._add(root, (*names, name))

    def _read(self, root: int, names: tuple[str, ...], path: str) -> list[str]:
        """Adds what is a file; the names in what is a folder."""
        with beneath.folder(root, names[:-1]) as above:
            kind = beneath.entry(above, names[-1]).kind
            if kind == "file" and path not in self.found:
                self._add_file(above, names[-1], path)
            if kind != "folder":
                return []
            with beneath.folder(above, names[-1:]) as where:
                return beneath.names(where)

    def _add_file(self, above: int, name: str, path: str) -> None:
        if len(self.found) >= MOST_FILES:
            self.whole = False
            return
        size, sha = _hashed(above, name, partial(_keep, self.job))
        self.found[path] = Artifact(job=self.job, path=path, size=size, sha256=sha)

    def lacks(self, what: str, problem: Exception | str) -> None:
        self.whole = False
        logger.warning("artifacts of %s: %s could not be read: %s", self.job.topic, what, problem)


def _hashed(where: int, name: str, keep: Callable[[], None]) -> tuple[int, str]:
    sha, size = hashlib.sha256(), 0
    with os.fdopen(beneath.read(where, name), "rb") as file:
        while piece := file.read(PIECE):
            keep()
            sha.update(piece)
            size += len(piece)
    return size, sha.hexdigest()
