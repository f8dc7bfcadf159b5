"""The files and folders of a spec as one archive, and what may be among them."""

import tarfile
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import PurePosixPath
from posixpath import normpath

from runtimes.base import FILES

OWNER = 1000
LARGEST = 8 * 1024**2


def lie_well(files: Mapping[str, bytes]) -> bool:
    """Plain paths under FILES, none of them a folder of another, and not too much in all."""
    folders = {str(parent) for path in files for parent in PurePosixPath(path).parents}
    plain = all(normpath(path) == path and path.startswith(f"{FILES}/") and "\0" not in path for path in files)
    return plain and not folders & set(files) and sum(map(len, files.values())) <= LARGEST


def archive(files: Mapping[str, bytes], made: Sequence[str] = ()) -> bytes:
    """A tar to unpack at /: folders and files that only the user of a container can enter and read, and those `made`
    for what runs, which others may enter too.
    """
    below = {parent for path in files for parent in PurePosixPath(path).parents if parent.is_relative_to(FILES)}
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder in made:
            tar.addfile(_entry(folder, 0o755, tarfile.DIRTYPE))
        for folder in sorted(map(str, below)):
            tar.addfile(_entry(folder, 0o700, tarfile.DIRTYPE))
        for path, content in sorted(files.items()):
            entry = _entry(path, 0o400, tarfile.REGTYPE)
            entry.size = len(content)
            tar.addfile(entry, BytesIO(content))
    return buffer.getvalue()


def folder(name: str) -> bytes:
    """A tar of an empty folder of that user, which others may enter and read."""
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(_entry(name, 0o755, tarfile.DIRTYPE))
    return buffer.getvalue()


def _entry(path: str, mode: int, kind: bytes) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path.lstrip("/"))
    entry.type, entry.mode, entry.uid, entry.gid = kind, mode, OWNER, OWNER
    return entry
