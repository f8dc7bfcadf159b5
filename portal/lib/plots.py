"""Plots of numbers against steps, and bars, drawn on the server as SVG, each with a sentence on what it shows."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

Dot = tuple[float, float]

WIDTH, HEIGHT = 640, 240
LEFT, RIGHT, TOP, BOTTOM = 52, 8, 10, 26
COLOURS = 6
TICKS = 5


@dataclass(frozen=True, slots=True)
class Line:
    """Values against steps, in the order of steps."""

    label: str
    points: Sequence[Dot]


def plot(lines: Sequence[Line], about: str) -> SafeString:
    """All lines on common axes. `about` begins the sentence that is read instead of seen."""
    dots = [dot for line in lines for dot in line.points]
    if not dots:
        return SafeString("")
    across, up = _ticks([x for x, _ in dots]), _ticks([y for _, y in dots])
    drawn = format_html_join(
        "",
        '<polyline class="plot-line plot-{}" points="{}"/>{}',
        ((n % COLOURS, _pairs(line, across, up), _single(n, line, across, up)) for n, line in enumerate(lines)),
    )
    sentence = f"{about}: {'; '.join(_sentence(line) for line in lines)}."
    return _framed(sentence, up, _labels(across, up), drawn)


def _framed(
    sentence: str, up: Sequence[float], labels: Iterable[tuple[str, str, str, str]], drawn: SafeString
) -> SafeString:
    return format_html(
        '<svg class="plot" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}{}</svg>',
        WIDTH,
        HEIGHT,
        sentence,
        format_html_join("", '<line class="plot-grid" x1="{}" x2="{}" y1="{}" y2="{}"/>', _grid(up)),
        format_html_join("", '<text class="plot-tick" x="{}" y="{}" text-anchor="{}">{}</text>', labels),
        drawn,
    )


def scatter(dots: Sequence[Dot], about: str, *, log: bool = False, names: Sequence[str] = ()) -> SafeString:
    """One mark for each pair. `log` spreads what is across by its size; with `names`, 0, 1, … across are called so.

    `about` is the sentence that is read instead of seen.
    """
    if not dots:
        return SafeString("")
    placed = [(math.log10(x), y) for x, y in dots] if log else list(dots)
    across = [float(n) for n in range(-1, len(names) + 1)] if names else _ticks([x for x, _ in placed])
    up = _ticks([y for _, y in placed])
    marks = ((f"{_x(x, across):.1f}", f"{_y(y, up):.1f}") for x, y in placed)
    drawn = format_html_join("", '<circle class="plot-dot plot-0" cx="{}" cy="{}" r="4"/>', marks)
    return _framed(about, up, [*_labels([], up), *_across(across, log, names)], drawn)


def _across(ticks: Sequence[float], log: bool, names: Sequence[str]) -> list[tuple[str, str, str, str]]:
    if not names:
        said = [number(10**value if log else value) for value in ticks]
        return [_below(value, ticks, text) for value, text in zip(ticks, said, strict=True)]
    every = math.ceil(len(names) / 8)
    return [_below(float(n), ticks, name[:12]) for n, name in enumerate(names) if n % every == 0]


@dataclass(frozen=True, slots=True)
class Layer:
    """One value for each bar. Without a colour of its own it has that of its place among the layers."""

    label: str
    values: Sequence[float]
    colour: int | None = None


@dataclass(frozen=True, slots=True)
class Bars:
    """A chart with its title, and the same as a table called `numbers`; nothing is `drawn` where there is nothing.

    `legend` has the colour of each name. A row is a name, where it leads to if anywhere, and what stands under `heads`
    but the first.
    """

    title: str
    drawn: SafeString
    legend: Sequence[tuple[str, int]]
    numbers: str
    heads: Sequence[str]
    rows: Sequence[tuple[str, str, Sequence[str]]]


def stacked(names: Sequence[str], layers: Sequence[Layer], about: str, word: Callable[[float], str]) -> SafeString:
    """A bar for each name, its layers upon each other from the first to the last. `word` writes a height.

    `about` is the sentence that is read instead of seen.
    """
    tops = [sum(layer.values[n] for layer in layers) for n in range(len(names))]
    up = _ticks([0.0, max(tops, default=0.0) or 1.0])
    step = (WIDTH - LEFT - RIGHT) / max(len(names), 1)
    beside = [(str(LEFT - 8), f"{_y(value, up) + 4:.1f}", "end", word(value)) for value in up]
    every = max(len(names) // 10, 1)
    below = [
        (f"{LEFT + (n + 0.5) * step:.1f}", str(HEIGHT - 6), "middle", name)
        for n, name in enumerate(names)
        if n % every == 0
    ]
    drawn = format_html_join(
        "",
        '<rect class="plot-bar plot-{}" x="{}" y="{}" width="{}" height="{}"/>',
        (part for n in range(len(names)) for part in _bar(n, layers, step, up)),
    )
    return _framed(about, up, [*beside, *below], drawn)


def _bar(n: int, layers: Sequence[Layer], step: float, up: Sequence[float]) -> Iterator[tuple[int, str, str, str, str]]:
    floor, width = 0.0, step * 0.72
    for place, layer in enumerate(layers):
        value, colour = layer.values[n], place if layer.colour is None else layer.colour
        if value > 0:
            top, bottom = _y(floor + value, up), _y(floor, up)
            left = LEFT + n * step + (step - width) / 2
            yield colour % COLOURS, f"{left:.1f}", f"{top:.1f}", f"{width:.1f}", f"{max(bottom - top, 0.5):.1f}"
            floor += value


def _below(value: float, ticks: Sequence[float], text: str) -> tuple[str, str, str, str]:
    return (f"{_x(value, ticks):.1f}", str(HEIGHT - 6), "end" if value == ticks[-1] else "middle", text)


def _sentence(line: Line) -> str:
    values = [value for _, value in line.points]
    return f"{line.label} goes from {number(values[0])} to {number(values[-1])}, least {number(min(values))}"


def number(value: float) -> str:
    """With four digits that count: 0.1234, 12.35, 1.2e-05."""
    return f"{value:.4g}"


def _ticks(values: Sequence[float]) -> list[float]:
    """Round numbers around all values: steps of 1, 2 or 5 times a power of ten."""
    low, high = min(values), max(values)
    if high - low < abs(high) * 1e-12 or high == low:
        low, high = low - (abs(low) or 1) * 0.5, high + (abs(high) or 1) * 0.5
    rough = (high - low) / TICKS
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [n * step for n in range(first, last + 1)]


def _x(value: float, ticks: Sequence[float]) -> float:
    return LEFT + (value - ticks[0]) / (ticks[-1] - ticks[0]) * (WIDTH - LEFT - RIGHT)


def _y(value: float, ticks: Sequence[float]) -> float:
    return HEIGHT - BOTTOM - (value - ticks[0]) / (ticks[-1] - ticks[0]) * (HEIGHT - TOP - BOTTOM)


def _pairs(line: Line, across: Sequence[float], up: Sequence[float]) -> str:
    return " ".join(f"{_x(x, across):.1f},{_y(y, up):.1f}" for x, y in line.points)


def _single(n: int, line: Line, across: Sequence[float], up: Sequence[float]) -> SafeString:
    """One value alone makes no line."""
    if len(line.points) > 1:
        return SafeString("")
    (x, y) = line.points[0]
    where = (f"{_x(x, across):.1f}", f"{_y(y, up):.1f}")
    return format_html('<circle class="plot-dot plot-{}" cx="{}" cy="{}" r="3.5"/>', n % COLOURS, *where)


def _grid(up: Sequence[float]) -> list[tuple[str, ...]]:
    heights = [f"{_y(value, up):.1f}" for value in up]
    return [(str(LEFT), str(WIDTH - RIGHT), height, height) for height in heights]


def _labels(across: Sequence[float], up: Sequence[float]) -> list[tuple[str, str, str, str]]:
    beside = [(str(LEFT - 8), f"{_y(value, up) + 4:.1f}", "end", number(value)) for value in up]
    return [*beside, *(_below(value, across, number(value)) for value in across)]
