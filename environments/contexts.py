"""What images are built from: the folders below `images/`, which may start from each other (`FROM berth/<name>`)."""

import hashlib
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from django.conf import settings

from environments import mirrors

FOLDER = settings.BASE_DIR / "images"
DEBIAN = "debian:bookworm-slim"
OURS = "berth/"
_FROM = re.compile(r"^FROM[ \t]+(\S+)", re.MULTILINE)


def exists(context: str) -> bool:
    return Path(FOLDER / context / "Dockerfile").is_file()


def starts_from(context: str) -> list[str]:
    """What the Dockerfile's FROM lines name, in order."""
    return _FROM.findall((FOLDER / context / "Dockerfile").read_text())


def base_of(context: str) -> str:
    """The context it builds on, or nothing."""
    return next((name.removeprefix(OURS) for name in starts_from(context) if name.startswith(OURS)), "")


def reference_of(context: str) -> str:
    """Tag of what `images/<context>/` builds: equal content has an equal tag, so it is built once per engine."""
    base = base_of(context)
    content = hashlib.sha256(reference_of(base).encode() if base else b"")
    folder = FOLDER / context
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        content.update(f"{path.relative_to(folder)}\0{path.stat().st_mode & 0o111}\0".encode())
        content.update(path.read_bytes())
    return f"{OURS}{context}:{content.hexdigest()[:12]}"


@contextmanager
def prepared(context: str) -> Iterator[Path]:
    """A copy of the context whose FROM lines name the very content that is built upon, with the mirrors in use."""
    with TemporaryDirectory(prefix="berth-context-") as temporary:
        folder = shutil.copytree(FOLDER / context, Path(temporary) / context)
        dockerfile = folder / "Dockerfile"
        exact = _FROM.sub(lambda found: f"FROM {_exactly(found[1])}", dockerfile.read_text())
        dockerfile.write_text(mirrors.applied(exact))
        yield folder


def _exactly(name: str) -> str:
    return reference_of(name.removeprefix(OURS)) if name.startswith(OURS) else name
