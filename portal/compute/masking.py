"""Masks what a container's log may not show: its secrets, line by line."""

import re
from collections.abc import Iterable, Sequence

from runtimes.lines import CUT_MARK

MASK = "••••••"
SHORTEST = 6
"""Shorter texts are left alone: they are no secrets, and would blacken half the log."""


def needles(texts: Iterable[str]) -> tuple[str, ...]:
    """What to look for in single lines: each line of each text, the longest first."""
    lines = {line.strip() for text in texts for line in re.split(r"[\r\n]", text)}
    return tuple(sorted((line for line in lines if len(line) >= SHORTEST), key=len, reverse=True))


def masked(text: str, hidden: Sequence[str]) -> str:
    """The line without any of them; of one that was cut together with the line, without its beginning."""
    for one in hidden:
        text = text.replace(one, MASK)
    if hidden and text.endswith(CUT_MARK):
        text = _without_beginnings(text.removesuffix(CUT_MARK), hidden) + CUT_MARK
    return text


def _without_beginnings(text: str, hidden: Sequence[str]) -> str:
    for one in hidden:
        longest = range(min(len(one), len(text)), SHORTEST - 1, -1)
        cut = next((length for length in longest if text.endswith(one[:length])), 0)
        if cut:
            return text[:-cut] + MASK
    return text
