"""What a program tells Berth by lines of its log: progress, metrics, and the commit that runs."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

_PROGRESS = re.compile(r"::progress (\d+(?:\.\d+)?(?:e-?\d+)?|\.\d+(?:e-?\d+)?)(%?)::", re.IGNORECASE)
_METRIC = re.compile(
    r"::metric (?P<name>[A-Za-z_][\w./ -]{0,98}?)=(?P<value>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)"
    r"(?: step=(?P<step>\d{1,15}))?::"
)
_COMMIT = re.compile(r"::commit ([0-9a-f]{40,64})::")


@dataclass(frozen=True, slots=True)
class Metric:
    """`step` is None where the line names none."""

    name: str
    value: float
    step: int | None


@dataclass(slots=True)
class Told:
    """What some lines said: the last progress (0 to 1) and commit, and every metric with its line's number."""

    progress: float | None = None
    commit: str = ""
    metrics: list[tuple[int, Metric]] = field(default_factory=list)


def told(lines: Iterable[tuple[int, str]]) -> Told:
    """Read numbered lines; what is not quite a marker is text."""
    found = Told()
    for seq, line in lines:
        if "::" not in line:
            continue
        if match := _PROGRESS.search(line):
            found.progress = min(float(match[1]) / (100 if match[2] else 1), 1.0)
        if match := _METRIC.search(line):
            value = float(match["value"])
            if math.isfinite(value):
                step = int(match["step"]) if match["step"] else None
                found.metrics.append((seq, Metric(match["name"].strip(), value, step)))
        if match := _COMMIT.search(line):
            found.commit = match[1]
    return found
