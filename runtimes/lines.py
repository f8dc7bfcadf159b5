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
        if line_end:
            lines += self._finish(line_end)
        self._after_return = line_end == b"\r"
        return lines

    def _append(self, text: bytes) -> list[str]:
        if self._dropping:
            return []
        self._line += text[: LIMIT + 1]
        if len(self._line) <= LIMIT:
            return []
        cut = _text(bytes(self._line[:_KEPT])) + CUT_MARK
        self._line.clear()
        self._dropping = True
        return [cut]

    def _finish(self, line_end: bytes) -> list[str]:
        line, dropped = bytes(self._line), self._dropping
        self._line.clear()
        self._dropping = False
        second_half = line_end == b"\n" and self._after_return
        if line:
            return [_text(line)]
        return [] if dropped or second_half or line_end == b"\r" else [""]


def _text(line: bytes) -> str:
    # An incremental decoder leaves out a character that the cut broke in two.
    return codecs.getincrementaldecoder("utf-8")("replace").decode(line)
