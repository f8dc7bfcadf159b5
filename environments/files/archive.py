"""Answers with many files of a volume as one zip, which is made while it is sent."""

import os
from collections.abc import Iterable, Iterator

from django.http import StreamingHttpResponse
from zipstream import ZipStream

from environments.files import disk, sending
from environments.models import Volume
from portal.lib import beneath


def send(volume: Volume, files: Iterable[tuple[str, int]], name: str) -> StreamingHttpResponse:
    """`files` are paths in the volume and their sizes in bytes.

    They are stored, not compressed: models hardly shrink, and so the length is known at once. One that has another size
    when its turn comes breaks the download off, and that the reader sees by the length.
    """
    zipped = ZipStream(sized=True)
    for path, size in files:
        zipped.add(_content(volume, path), path, size=size)
    headers = sending.INERT | {"Content-Disposition": sending.disposition(name), "Content-Length": str(len(zipped))}
    return StreamingHttpResponse(iter(zipped), content_type="application/zip", headers=headers)


def _content(volume: Volume, path: str) -> Iterator[bytes]:
    """Opened when it is its turn."""
    with os.fdopen(disk.read(volume, beneath.parts(path)), "rb", buffering=0) as file:
        while piece := file.read(sending.PIECE):
            yield piece
