"""CSV that spreadsheets open without running anything in it."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO

from django.http import StreamingHttpResponse

STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A cell that begins so would be taken for a formula."""


def lines(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """One each; a cell that looks like a formula begins with an apostrophe. Numbers below zero stay numbers."""
    out = StringIO()
    writer = csv.writer(out)
    for row in rows:
        writer.writerow([_inert(cell) for cell in row])
        yield out.getvalue()
        out.seek(0)
        out.truncate()


def download(name: str, rows: Iterable[Sequence[str]]) -> StreamingHttpResponse:
    """The file of that name, sent as the rows come."""
    answer = StreamingHttpResponse(lines(rows), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    answer["X-Content-Type-Options"] = "nosniff"
    return answer


def _inert(cell: str) -> str:
    return f"'{cell}" if cell.startswith(STARTS) and not _number(cell) else cell


def _number(cell: str) -> bool:
    return cell.lstrip("-").replace(".", "", 1).isdecimal()
