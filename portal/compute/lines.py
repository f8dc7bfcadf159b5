"""One stored line of a log."""

from typing import NamedTuple


class Line(NamedTuple):
    """Also its shape in a chunk and in a live frame. `returned` as in a LogLine."""

    seq: int
    at: str
    stream: str
    text: str
    returned: bool = False
