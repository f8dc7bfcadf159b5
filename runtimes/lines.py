"""Turns the bytes of a process's output into lines of bounded length, for every driver."""

import codecs
from typing import NamedTuple

LIMIT = 8 * 1024
CUT_MARK = " … (line cut at 8 KiB)"
_KEPT = LIMIT - len(CUT_MARK.encode())


class Piece(NamedTuple):
    """A line without its end. `returned`: a bare `\\r` ended it, so the next line is written over it."""

    text: str
    returned: bool = False


class LineSplitter:
    """Feed bytes as they come, get whole lines; memory stays below 8 KiB plus the piece just fed.

    `\\n`, `\\r` and `\\r\\n` end a line. A progress bar that starts with `\\r` gives no empty line.
    What `\\r` has ended is given when it is known that no `\\n` follows.
    A longer line is given at once when it passes the limit, marked; its rest is dropped.
    """

    def __init__(self) -> None:
        self._line = bytearray()
        self._dropping = False
        self._after_return = False

    @property
    def is_cut(self) -> bool:
        """Whether what comes now belongs to a line whose beginning was given."""
        return self._dropping

    def feed(self, data: bytes) -> list[Piece]:
        """Lines ended by this piece, without their line ends."""
        if self._is_one_line(data):
            return [Piece(_text(data[:-1]))]
        lines: list[Piece] = []
        for piece in data.replace(b"\0", b"").splitlines(keepends=True):
            lines += self._take(piece)
        return lines

    def _is_one_line(self, data: bytes) -> bool:
        """Just one, whole, with nothing to be cut or left out: what nearly every piece of an engine's log is."""
        plain = b"\r" not in data and b"\0" not in data and data.find(b"\n") == len(data) - 1
        return plain and 0 < len(data) <= LIMIT and not (self._line or self._dropping or self._after_return)

    def end(self) -> list[Piece]:
        """The last line, when no line end followed it."""
        return self._finish(self._after_return) if self._line or self._after_return else []

    def _take(self, piece: bytes) -> list[Piece]:
        lines: list[Piece] = []
        if self._after_return:
            is_second_half = piece == b"\n"
            lines = self._finish(returned=not is_second_half)
            if is_second_half:
                return lines
        text = piece.rstrip(b"\r\n")
        line_end = piece[len(text) :]
        if text:
            lines += self._append(text)
        if line_end == b"\r":
            self._after_return = True
        elif line_end:
            lines += self._finish(returned=False)
        return lines

    def _append(self, text: bytes) -> list[Piece]:
        if self._dropping:
            return []
        self._line += text[: LIMIT + 1]
        if len(self._line) <= LIMIT:
            return []
        cut = _cut(bytes(self._line))
        self._line.clear()
        self._dropping = True
        return [Piece(cut)]

    def _finish(self, returned: bool) -> list[Piece]:
        line, was_cut = bytes(self._line), self._dropping
        self._line.clear()
        self._dropping = self._after_return = False
        return [] if was_cut or (returned and not line) else [Piece(_text(line), returned)]


def _text(line: bytes) -> str:
    text = line.decode(errors="replace")
    # A byte that is no text becomes three: the limit holds for what comes out.
    return _cut(text.encode()) if 3 * len(line) > LIMIT < len(text.encode()) else text


def _cut(line: bytes) -> str:
    # An incremental decoder leaves out a character that the cut broke in two.
    decoder = codecs.getincrementaldecoder("utf-8")
    clean = decoder("replace").decode(line[:_KEPT]).encode()
    return decoder().decode(clean[:_KEPT]) + CUT_MARK
