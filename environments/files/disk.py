"""The one place that opens a volume's folder: by the names in our own record, and with the rights of people alone."""

import ctypes
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from errno import EACCES, EDQUOT, EEXIST, EISDIR, ELOOP, ENAMETOOLONG, ENOENT, ENOSPC, ENOTDIR, ENXIO, EPERM, EROFS
from functools import cache

from django.conf import settings

from environments.models import Volume
from portal.lib import beneath
from portal.lib.errors import Conflict, Forbidden, Invalid, Next, NotFound, Problem

OWNER = 1000
"""Who runs in containers. Files are reached as this account, so that a mistake here reaches nobody else's."""

HIDDEN = ".berth"
UPLOADS = (HIDDEN, "uploads")

_libc = ctypes.CDLL(None)


class Full(Problem):
    status = 507
    code = "disk_full"
    title = "No room left"


class NotMade(Problem):
    """The volume is not on the engine yet."""

    status = 409
    code = "not_made"


class Unreachable(Problem):
    status = 503
    code = "files_unreachable"
    title = "Files cannot be reached"


@contextmanager
def opened(volume: Volume) -> Iterator[int]:
    """The folder of a volume. A query inside needs `as_berth`: the database knows this account by another name.

    Raises NotMade also while the folder is there and does not belong to people yet.
    """
    if volume.made_at is None:
        raise NotMade("This folder is not there yet.")
    with spoken(), _as_owner(_root(str(settings.VOLUMES))) as root, ExitStack() as held:
        inside = (volume.engine_name, "_data") if settings.RUNTIME == "docker" else (volume.engine_name,)
        try:
            where = held.enter_context(beneath.folder(root, inside))
        except FileNotFoundError:
            raise NotMade("This folder is not there yet.") from None
        yield where


def read(volume: Volume, names: Sequence[str]) -> int:
    """A descriptor of one file, which is good for longer than the volume is opened. Raises NotFound."""
    if not names:
        raise NotFound("There is no such file.")
    with opened(volume) as root, beneath.folder(root, names[:-1]) as where:
        return beneath.read(where, names[-1])


@cache
def _root(path: str) -> int:
    """Held open, because the folders above it are closed to the account that files are reached as."""
    try:
        return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise Unreachable(
            f"Berth cannot read the folder of the container engine, {path} ({error.strerror}). Files are safe, and "
            "workspaces show them. An administrator can let the process `files` read it, or name it in BERTH_VOLUMES."
        ) from error


@contextmanager
def _as_owner(root: int) -> Iterator[int]:
    """For this thread, and for files only."""
    if not _may_become_others():
        yield root
        return
    _leave_groups()
    _become(OWNER)
    try:
        yield root
    finally:
        _become(0)


@contextmanager
def as_berth() -> Iterator[None]:
    """Within `opened`, with our own rights for a moment."""
    if not _may_become_others():
        yield
        return
    _become(0)
    try:
        yield
    finally:
        _become(OWNER)


def _may_become_others() -> bool:
    """Root alone can; others have no more rights than their account anyway."""
    return os.geteuid() == 0 and settings.RUNTIME != "local"


@cache
def _leave_groups() -> None:
    """A login gives root its own group once more, and the engine's folders let in everybody but that group."""
    os.setgroups([])


def _become(account: int) -> None:
    _libc.setfsgid(account)
    _libc.setfsuid(account)
    if _libc.setfsuid(-1) != account:  # a wrong id changes nothing and answers what is
        raise PermissionError(EPERM, "The account for files could not be taken.")


@contextmanager
def spoken() -> Iterator[None]:
    """What the system refuses, as a sentence with the next step."""
    try:
        yield
    except beneath.BadName as error:
        raise Invalid.field("name", str(error)) from None
    except RecursionError:
        raise Conflict("These folders are nested too deep to be handled here. Use a terminal in a workspace.") from None
    except OSError as error:
        raise _problem(error) from error


def _problem(error: OSError) -> Problem:
    files = Next("Your files", "/files/")
    match error.errno:
        case number if number in (ENOSPC, EDQUOT):
            return Full("The disk is full. Delete something, or ask an administrator for room; then try again.")
        case number if number in (EACCES, EPERM, EROFS):
            return Forbidden(
                "These files cannot be reached from here: they belong to another account.", next_step=files
            )
        case number if number == EEXIST or isinstance(error, FileExistsError):
            return Conflict("There is something of that name already. Choose another name.", code="exists")
        case number if number == ENAMETOOLONG:
            return Invalid.field("name", "That name is too long.")
        case number if number in (ENOENT, ENOTDIR, ELOOP, EISDIR, ENXIO) or isinstance(error, IsADirectoryError):
            return NotFound("There is no such file or folder here, or it is a link.", next_step=files)
    raise error
