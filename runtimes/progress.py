"""Turns the engine's stream of pull and build messages into one fraction and one line for people."""

import re
from collections import deque
from typing import Any

from runtimes.base import Progress

_STEP = re.compile(r"Step (\d+)/(\d+) :")
_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
"""The engine colours what a build writes to its error output, and ends the colour on a line of its own."""
_HERE = ("Pull complete", "Already exists", "Download complete")


class PullProgress:
    """Sums the bytes of all layers; the fraction never goes back when the size of one more layer is learnt."""

    def __init__(self) -> None:
        self._layers: dict[str, tuple[int, int]] = {}
        self._fraction = 0.0

    def read(self, message: dict[str, Any]) -> Progress:
        layer, status = message.get("id", ""), message.get("status", "")
        detail = message.get("progressDetail") or {}
        if status == "Downloading" and detail.get("total"):
            self._layers[layer] = (detail.get("current", 0), detail["total"])
        elif status in _HERE and layer in self._layers:
            total = self._layers[layer][1]
            self._layers[layer] = (total, total)
        return Progress(self._so_far(), f"{layer}: {status}" if layer else status)

    def _so_far(self) -> float | None:
        total = sum(size for _, size in self._layers.values())
        if not total:
            return None
        self._fraction = max(self._fraction, min(sum(done for done, _ in self._layers.values()) / total, 1.0))
        return self._fraction


class BuildProgress:
    """Follows "Step 3/12 :" and remembers the last lines for the error message."""

    def __init__(self) -> None:
        self._fraction: float | None = None
        self.last_lines: deque[str] = deque(maxlen=20)

    def read(self, message: dict[str, Any]) -> Progress | None:
        text = _ESCAPE.sub("", str(message.get("stream") or message.get("status") or ""))
        lines = [line.strip()[:500] for line in text.splitlines() if line.strip()]
        if not lines:
            return None
        if step := _STEP.match(lines[0]):
            self._fraction = (int(step[1]) - 1) / int(step[2])
        self.last_lines.extend(lines)
        return Progress(self._fraction, lines[-1])
