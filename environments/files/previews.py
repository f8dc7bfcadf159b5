"""What a page can show of a file without running any of it: text, pictures, notebooks."""

import base64
import binascii
import json
import os
from dataclasses import dataclass, field
from typing import Any

PICTURES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}
MOST_TEXT = 256 * 1024
MOST_NOTEBOOK = 10 * 1024**2
MOST_PICTURE = 50 * 1024**2
MOST_CELLS = 500


@dataclass(frozen=True, slots=True)
class Output:
    """Text, or a PNG as base64 that has been checked."""

    text: str = ""
    png: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """kind: code, or prose (Markdown and all else, as written)."""

    kind: str
    source: str
    outputs: list[Output] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Preview:
    """kind: text, picture, notebook or none; `note` says what is left out."""

    kind: str
    text: str = ""
    cells: list[Cell] = field(default_factory=list)
    note: str = ""


def of(descriptor: int, name: str) -> Preview:
    """Reads a bounded part of the file."""
    size = os.fstat(descriptor).st_size
    start = os.pread(descriptor, MOST_TEXT, 0)
    if picture_type(start):
        return (
            Preview("picture") if size <= MOST_PICTURE else Preview("none", note="This picture is too large to show.")
        )
    if name.endswith(".ipynb") and size <= MOST_NOTEBOOK and (cells := _notebook(os.pread(descriptor, size, 0))):
        return Preview("notebook", cells=cells[:MOST_CELLS], note=_cut(len(cells), MOST_CELLS, "cells"))
    text = _text(start, whole=size <= MOST_TEXT)
    if text is None:
        return Preview("none", note="This is neither text nor a picture: download it, or open it in a workspace.")
    return Preview("text", text, note="Only the beginning is shown." if size > MOST_TEXT else "")


def picture_type(start: bytes) -> str | None:
    """By what is in the file, never by its name: SVG, which can hold programs, is text."""
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for mark, kind in PICTURES.items() if start.startswith(mark)), None)


def _text(start: bytes, *, whole: bool) -> str | None:
    if b"\0" in start:
        return None
    try:
        return start.decode()
    except UnicodeDecodeError as error:
        cut_in_a_character = not whole and error.start >= len(start) - 3
        return start[: error.start].decode() if cut_in_a_character else None


def _cut(count: int, most: int, what: str) -> str:
    return f"Shows the first {most} of {count:,} {what}." if count > most else ""


def _notebook(content: bytes) -> list[Cell]:
    """Empty for what is no notebook."""
    try:
        cells = json.loads(content)["cells"]
        return [_cell(cell) for cell in cells]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []


def _cell(cell: dict[str, Any]) -> Cell:
    kind = "code" if cell.get("cell_type") == "code" else "prose"
    outputs = [_output(output) for output in cell.get("outputs", [])] if kind == "code" else []
    return Cell(kind, _joined(cell["source"]), [output for output in outputs if output.text or output.png])


def _output(output: dict[str, Any]) -> Output:
    data = output.get("data", {})
    if png := _png(_joined(data.get("image/png", ""))):
        return Output(png=png)
    trace = "\n".join(output.get("traceback", []))
    return Output(_joined(output.get("text", "")) or _joined(data.get("text/plain", "")) or trace)


def _png(text: str) -> str:
    try:
        content = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return ""
    return base64.b64encode(content).decode() if picture_type(content) == "image/png" else ""


def _joined(lines: Any) -> str:
    """A notebook writes text as one string or as a list of lines."""
    return lines if isinstance(lines, str) else "".join(str(line) for line in lines)
