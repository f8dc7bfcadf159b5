"""Answers with the content of files: never as something a browser would run, whole or a range of it."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

PIECE = 256 * 1024
RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
INERT = {
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
}


@dataclass(frozen=True, slots=True)
class Span:
    start: int
    end: int


def send(request: HttpRequest, descriptor: int, name: str, kind: str | None = None) -> HttpResponseBase:
    """The file as a download, or shown as a picture of `kind`. Closes the descriptor when all is sent."""
    found = os.fstat(descriptor)
    mark = f'"{found.st_mtime_ns:x}-{found.st_size:x}"'
    headers = INERT | {"Accept-Ranges": "bytes", "ETag": mark, "Content-Disposition": disposition(name, kind)}
    wanted = _range(request, mark)
    span = _span(wanted, found.st_size) if wanted else Span(0, found.st_size)
    if span is None:
        os.close(descriptor)
        return HttpResponse(status=416, headers=headers | {"Content-Range": f"bytes */{found.st_size}"})
    if wanted:
        headers["Content-Range"] = f"bytes {span.start}-{span.end - 1}/{found.st_size}"
    headers |= {"Content-Type": kind or "application/octet-stream", "Content-Length": str(span.end - span.start)}
    return StreamingHttpResponse(_Pieces(descriptor, span), status=206 if wanted else 200, headers=headers)


def _range(request: HttpRequest, mark: str) -> re.Match[str] | None:
    """One range that may be answered; several, or one of an older file, are answered with the whole."""
    if request.headers.get("If-Range", mark) != mark:
        return None
    found = RANGE.fullmatch(request.headers.get("Range", ""))
    return found if found and (found[1] or found[2]) else None


def _span(wanted: re.Match[str], size: int) -> Span | None:
    """None where the file does not reach it."""
    first, last = wanted[1], wanted[2]
    if not first:
        start, end = max(size - int(last), 0), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
    return Span(start, end) if start < end else None


class _Pieces:
    """Closed by the response, also when nothing of it was asked for."""

    def __init__(self, descriptor: int, span: Span) -> None:
        self._file = os.fdopen(descriptor, "rb", buffering=0)
        self._file.seek(span.start)
        self._left = span.end - span.start

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece = self._file.read(min(PIECE, self._left))
        if not piece:
            raise StopIteration
        self._left -= len(piece)
        return piece

    def close(self) -> None:
        self._file.close()


def disposition(name: str, kind: str | None = None) -> str:
    return f"{'inline' if kind else 'attachment'}; filename*=UTF-8''{quote(name, safe='')}"
