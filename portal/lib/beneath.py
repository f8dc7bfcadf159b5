"""Files beneath a folder that is held open: every name on the way is opened by itself, and no link is ever followed.

All functions take the descriptor of the folder they work in, and raise OSError as the system does."""

import hashlib
import os
import shutil
import stat
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

LONGEST_NAME = 255
DEEPEST = 100
WALK = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class BadName(ValueError):
    """Says, as a sentence, why this cannot be the name of a file here."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a folder. kind: folder, file, link or other; size in bytes, 0 for all but files."""

    name: str
    kind: str
    size: int
    modified: datetime

    @property
    def addressable(self) -> bool:
        """Whether an address on a page can name it."""
        return self.kind in ("folder", "file") and plain(self.name)


@dataclass(frozen=True, slots=True)
class Extent:
    """What lies in a folder: bytes on disk, files and folders; `whole` is False where counting stopped early.

    `fingerprint`, in hexadecimal, is another where a file has come, gone, or has another path, size or time of change.
    """

    bytes: int = 0
    files: int = 0
    folders: int = 0
    whole: bool = True
    fingerprint: str = ""


def checked(name: str) -> str:
    """The name again; raises BadName."""
    if name in ("", ".", "..") or "/" in name:
        raise BadName("A name is one or more characters other than “/”, and neither “.” nor “..”.")
    if not plain(name):
        raise BadName("A name cannot hold control characters.")
    if len(name.encode()) > LONGEST_NAME:
        raise BadName(f"A name may be {LONGEST_NAME} bytes long at most.")
    return name


def parts(path: str) -> tuple[str, ...]:
    """The names of a path such as `a/b`; raises BadName. The empty path is the folder itself."""
    names = tuple(checked(name) for name in path.split("/")) if path else ()
    if len(names) > DEEPEST:
        raise BadName(f"Folders can be {DEEPEST} deep here.")
    return names


def plain(name: str) -> bool:
    """Whether it is text without control characters, so that an address and a record can hold it."""
    with suppress(UnicodeEncodeError):
        name.encode()
        return not any(ord(character) < 32 or ord(character) == 127 for character in name)
    return False


@contextmanager
def folder(root: int, names: Sequence[str], *, make: bool = False) -> Iterator[int]:
    """The folder at `names` below `root`, open for as long as the block lasts."""
    current = os.dup(root)
    try:
        for name in names:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(name, 0o755, dir_fd=current)
            deeper = os.open(name, WALK, dir_fd=current)
            os.close(current)
            current = deeper
        yield current
    finally:
        os.close(current)


def entry(where: int, name: str) -> Entry:
    found = os.stat(name, dir_fd=where, follow_symlinks=False)
    kind = "folder" if stat.S_ISDIR(found.st_mode) else "file" if stat.S_ISREG(found.st_mode) else "other"
    kind = "link" if stat.S_ISLNK(found.st_mode) else kind
    size = found.st_size if kind == "file" else 0
    return Entry(name, kind, size, datetime.fromtimestamp(max(found.st_mtime, 0), UTC))


def entries(where: int, most: int, hidden: Sequence[str] = ()) -> tuple[list[Entry], int]:
    """Folders first, each in the order of names; at most `most` of them, and how many there are."""
    here = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=where)
    try:
        with os.scandir(here) as scan:
            found = [(not one.is_dir(follow_symlinks=False), one.name.casefold(), one.name) for one in scan]
    finally:
        os.close(here)
    names = [name for _file, _folded, name in sorted(found) if name not in hidden]
    shown = []
    for name in names[:most]:
        with suppress(FileNotFoundError):
            shown.append(entry(where, name))
    return shown, len(names)


def names(where: int) -> list[str]:
    """All names in a folder, in order."""
    here = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=where)
    try:
        with os.scandir(here) as scan:
            return sorted(one.name for one in scan)
    finally:
        os.close(here)


def read(where: int, name: str) -> int:
    """A descriptor for reading; raises IsADirectoryError for all that is no ordinary file."""
    return _ordinary(where, name, os.O_RDONLY)


def append(where: int, name: str) -> int:
    """A descriptor for writing to an ordinary file, made if it is not there."""
    return _ordinary(where, name, os.O_WRONLY | os.O_CREAT)


def _ordinary(where: int, name: str, how: int) -> int:
    """Neither a folder nor a device, nor a pipe, which could make us wait."""
    found = os.open(name, how | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=where)
    if not stat.S_ISREG(os.fstat(found).st_mode):
        os.close(found)
        raise IsADirectoryError(name)
    return found


def place(source: int, name: str, target: int, wanted: str, *, replace: bool) -> str:
    """Move a file to its name, all at once; where that is taken, replace it or add a number. Returns the name."""
    if replace:
        os.rename(name, wanted, src_dir_fd=source, dst_dir_fd=target)
        return wanted
    for candidate in _candidates(wanted):
        try:
            os.link(name, candidate, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
        except FileExistsError:
            continue
        os.unlink(name, dir_fd=source)
        return candidate
    raise FileExistsError(wanted)


def _candidates(name: str) -> Iterator[str]:
    """report.csv, report (2).csv, report (3).csv …"""
    yield name
    stem, dot, suffix = name.rpartition(".") if "." in name[1:] else (name, "", "")
    for number in range(2, 1000):
        end = f" ({number}){dot}{suffix}"
        while len((stem + end).encode()) > LONGEST_NAME and stem:
            stem = stem[:-1]
        yield stem + end


def remove(where: int, name: str) -> None:
    """A file or link, or a folder with all in it."""
    if stat.S_ISDIR(os.stat(name, dir_fd=where, follow_symlinks=False).st_mode):
        shutil.rmtree(name, dir_fd=where)
    else:
        os.unlink(name, dir_fd=where)


def rename(where: int, name: str, wanted: str) -> None:
    """Raises FileExistsError where the new name is taken; only a file made in that very moment could be lost."""
    with suppress(FileNotFoundError):
        os.stat(wanted, dir_fd=where, follow_symlinks=False)
        raise FileExistsError(wanted)
    os.rename(name, wanted, src_dir_fd=where, dst_dir_fd=where)


def extent(where: int, *, seconds: float, most: int, but: Sequence[str] = ()) -> Extent:
    """What the folder holds without the names `but`, links not followed.

    Each name of a file counts for its share of it, so that folders that share files are together what the disk holds.
    What may not be read counts as not there. No name is kept, so that it takes little memory however many there are.
    """
    until, files, folders, whole, mark = time.monotonic() + seconds, 0, 0, True, 0
    taken: Counter[int] = Counter()  # by how many names share it
    try:
        for path, found in _below(where, but):
            if stat.S_ISDIR(found.st_mode):
                folders += 1
            else:
                files, mark = files + 1, mark + _mark(path, found)
                taken[found.st_nlink] += found.st_blocks * 512
            if time.monotonic() > until or files + folders > most:
                whole = False
                break
    except (RecursionError, OSError):
        whole = False
    total = sum(size // max(names, 1) for names, size in taken.items())
    return Extent(total, files, folders, whole, f"{mark % 2**256:064x}")


def _below(where: int, but: Sequence[str] = (), above: str = "") -> Iterator[tuple[str, os.stat_result]]:
    """The path and state of each name below a folder, in no order; one folder of each depth is open at a time."""
    try:
        here = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=where)
    except PermissionError:
        return
    try:
        with os.scandir(here) as scan:
            for one in scan:
                if one.name in but:
                    continue
                with suppress(FileNotFoundError, PermissionError):
                    found = one.stat(follow_symlinks=False)
                    yield above + one.name, found
                    if stat.S_ISDIR(found.st_mode):
                        with folder(here, [one.name]) as deeper:
                            yield from _below(deeper, above=f"{above}{one.name}/")
    finally:
        os.close(here)


def _mark(path: str, found: os.stat_result) -> int:
    """Of one file. The sum of them all says the same in whatever order the files come."""
    told = b"%b\0%d\0%d" % (os.fsencode(path), found.st_size, found.st_mtime_ns)
    return int.from_bytes(hashlib.sha256(told).digest(), "big")
