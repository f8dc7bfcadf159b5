"""Turns the bytes of a process's output into lines of bounded length, for every driver."""

import codecs

LIMIT = 8 * 1024
CUT_MARK = " … (line cut at 8 KiB)"
_KEPT = LIMIT - len(CUT_MARK.encode())


class LineSplitter:
    """Feed bytes as they come, get whole lines; memory stays below 8 KiB plus the piece just fed.

    `\\n`, `\\r` and `\\r\\n` end a line. A progress bar that starts with `\\r` gives no empty line.
    A longer line is given at once when it passes the limit, marked; its rest is dropped.
    """

    def __init__(self) -> None:
        self._line = bytearray()
        self._dropping = False
        self._after_return = False

    def feed(self, data: bytes) -> list[str]:
        """Lines ended by this piece, without their line ends."""
        lines: list[str] = []
        for piece in data.replace(b"\0", b"").splitlines(keepends=True):
            lines += self._take(piece)
        return lines

    def end(self) -> list[str]:
        """The last line, when no line end followed it."""
        rest = bytes(self._line)
        self._line.clear()
        return [_text(rest)] if rest else []

    def _take(self, piece: bytes) -> list[str]:
        text = piece.rstrip(b"\r\n")
        line_end = piece[len(text) :]
        lines = self._append(text) if text else []
        return lines + self._finish(line_end) if line_end else lines

    def _append(self, text: bytes) -> list[str]:
        self._after_return = False
        if self._dropping:
            return []
        self._line += text[: LIMIT + 1]
        if len(self._line) <= LIMIT:
            return []
        cut = _cut(bytes(self._line))
        self._line.clear()
        self._dropping = True
        return [cut]

    def _finish(self, line_end: bytes) -> list[str]:
        line, was_cut = bytes(self._line), self._dropping
        second_half = line_end == b"\n" and self._after_return
        self._line.clear()
        self._dropping = False
        # Only a return that ended something can be the first half of a line end in two pieces.
        self._after_return = line_end == b"\r" and bool(line or was_cut)
        if line:
            return [_text(line)]
        return [] if was_cut or second_half or line_end == b"\r" else [""]


def _text(line: bytes) -> str:
    text = line.decode(errors="replace")
    # A byte that is no text becomes three: the limit holds for what comes out.
    return _cut(text.encode()) if len(text.encode()) > LIMIT else text


def _cut(line: bytes) -> str:
    # An incremental decoder leaves out a character that the cut broke in two.
    decoder = codecs.getincrementaldecoder("utf-8")
    clean = decoder("replace").decode(line[:_KEPT]).encode()
    return decoder().decode(clean[:_KEPT]) + CUT_MARK
