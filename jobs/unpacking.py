"""Unpacks archives of code into a folder. They come from people, so nothing they claim is believed.

No name leads out of the folder, nothing is written through a link, and what unpacks to too much is stopped while it
does, in memory as on disk."""

import errno
import gzip
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import IO, Any

from portal.lib import beneath
from portal.lib.errors import Problem

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz")
Check = Callable[[int, int], None]
PIECE = 1024 * 1024
LONGEST_READ = 16 * PIECE
"""More than the directory of the largest archive takes; readers of archives ask for what a header claims."""
_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    ValueError,
    KeyError,
    RuntimeError,
)

_IN_THE_WAY = (errno.ENOTDIR, errno.EEXIST, errno.ELOOP, errno.EISDIR)


@dataclass(frozen=True, slots=True)
class Member:
    """A file, link or folder of an archive; `open` gives a file's content, `link` is what a link points to."""

    name: str
    kind: str
    size: int = 0
    executable: bool = False
    link: str = ""
    open: Callable[[], IO[bytes] | None] = lambda: None


def is_archive(name: str) -> bool:
    return name.lower().endswith(ENDINGS)


def unpack(where: int, name: str, target: int, check: Check) -> None:
    """The archive `name` of the folder `where` into the empty folder `target`; `check(files, bytes)` may stop it.

    Raises Problem where it is broken or has what code does not need; whatever was unpacked until then stays.
    """
    read, size = _zip if name.lower().endswith(".zip") else _tar, 0
    with os.fdopen(beneath.read(where, name), "rb") as file:
        try:
            with read(file) as members:
                for number, member in enumerate(members, start=1):
                    check(number, size + member.size)
                    size += _write(member, target, partial(_added, check, number, size))
        except _BROKEN as error:
            raise Problem(f"{name} cannot be unpacked: {error or 'it ends too early'}.") from error


def _added(check: Check, files: int, size: int, more: int) -> None:
    check(files, size + more)


def only_folder(where: int) -> tuple[str, ...]:
    """The one folder that holds all the rest, as in the archives that git hosts make; or the folder itself."""
    names = beneath.names(where)
    return (names[0],) if len(names) == 1 and beneath.entry(where, names[0]).kind == "folder" else ()


class _Bounded:
    """A file that is never asked for more than LONGEST_READ at once."""

    def __init__(self, file: IO[bytes]) -> None:
        self.seek, self.tell, self.seekable, self._read = file.seek, file.tell, file.seekable, file.read

    def read(self, size: int = -1) -> bytes:
        found = self._read(min(size, LONGEST_READ + 1) if size >= 0 else LONGEST_READ + 1)
        if len(found) > LONGEST_READ:
            raise ValueError("a header claims more than any archive of code needs")
        return found


@contextmanager
def _zip(file: IO[bytes]) -> Iterator[Iterator[Member]]:
    with zipfile.ZipFile(_Bounded(file)) as archive:
        yield (_zip_member(archive, one) for one in archive.infolist())


def _zip_member(archive: zipfile.ZipFile, one: zipfile.ZipInfo) -> Member:
    if one.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"“{one.filename[:80]}” is compressed in a way that is not read; use deflate")
    mode = one.external_attr >> 16
    if one.is_dir():
        return Member(one.filename, "folder")
    if stat.S_ISLNK(mode):
        return Member(one.filename, "link", link=os.fsdecode(archive.open(one).read(4096)))
    return Member(one.filename, "file", one.file_size, bool(mode & 0o100), open=lambda: archive.open(one))


@contextmanager
def _tar(file: IO[bytes]) -> Iterator[Iterator[Member]]:
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    plain: Any = gzip.GzipFile(fileobj=file) if packed else file
    with tarfile.TarFile(fileobj=_Bounded(plain)) as archive:  # type: ignore[arg-type]
        yield (_tar_member(archive, one) for one in archive)


def _tar_member(archive: tarfile.TarFile, one: tarfile.TarInfo) -> Member:
    if one.isdir():
        return Member(one.name, "folder")
    if one.issym():
        return Member(one.name, "link", link=one.linkname)
    kind = "file" if one.isreg() or one.islnk() else "other"
    return Member(one.name, kind, one.size, bool(one.mode & 0o100), open=lambda: archive.extractfile(one))


def _write(member: Member, target: int, check: Callable[[int], None]) -> int:
    """The bytes that it took."""
    *folders, name = _names(member.name) or ("",)
    try:
        with beneath.folder(target, folders, make=True) as where:
            match member.kind:
                case "folder":
                    with beneath.folder(where, (name,) if name else (), make=True):
                        return 0
                case "link":
                    os.symlink(member.link, name, dir_fd=where)
                    return 0
                case "file":
                    return _write_file(member, where, name, check)
    except OSError as error:
        if error.errno not in _IN_THE_WAY:
            raise
        raise ValueError(f"“{member.name[:80]}” lies below a file or link, or is in it twice") from error
    raise ValueError(f"“{member.name[:80]}” is no file, folder or symbolic link")


def _write_file(member: Member, where: int, name: str, check: Callable[[int], None]) -> int:
    source = member.open()
    assert source is not None
    with source, os.fdopen(beneath.append(where, name), "wb") as new:
        os.fchmod(new.fileno(), 0o755 if member.executable else 0o644)
        while piece := source.read(PIECE):
            new.write(piece)
            check(new.tell())
        return new.tell()


def _names(path: str) -> tuple[str, ...]:
    if path.startswith("/") or ".." in path.split("/"):
        raise ValueError(f"“{path[:80]}” leads out of it")
    return beneath.parts("/".join(part for part in path.split("/") if part not in ("", ".")))
