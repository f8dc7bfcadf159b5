"""Charts drawn on the server as SVG, each with a sentence that says what it shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from portal.lib.words import duration, size

Point = tuple[datetime, float]
Dot = tuple[float, float]

WIDTH, HEIGHT = 600, 120
SPARK_WIDTH, SPARK_HEIGHT = 100, 28


@dataclass(frozen=True)
class Series:
    """One line over time. `limit` and the values are in `unit`; the unit "bytes" is written as MB or GB."""

    label: str
    points: Sequence[Point]
    limit: float
    unit: str


def amount(value: float, unit: str) -> str:
    if unit == "bytes":
        return size(value)
    digits = f"{value:.2f}".rstrip("0").rstrip(".") if value < 10 else f"{value:.0f}"
    return f"{digits} {unit}"


def sentence(series: Series) -> str:
    """What the line shows, for those who do not see it."""
    if not series.points:
        return f"{series.label}: no measurement yet."
    values = [value for _, value in series.points]
    span = (series.points[-1][0] - series.points[0][0]).total_seconds()
    now, peak, limit = (amount(value, series.unit) for value in (values[-1], max(values), series.limit))
    return f"{series.label} over the last {duration(span)}: now {now}, at most {peak}, limit {limit}."


def line_chart(series: Series) -> SafeString:
    """The line with its limit as a dashed one; stretches to the width it is given."""
    top = max([series.limit, *(value for _, value in series.points)]) or 1.0
    dots = _dots(series.points, top)
    return format_html(
        '<svg class="chart" viewBox="0 0 {w} {h}" preserveAspectRatio="none" role="img" aria-label="{label}">'
        '<line class="chart-limit" x1="0" x2="{w}" y1="{limit}" y2="{limit}"/>{area}{line}</svg>',
        w=WIDTH,
        h=HEIGHT,
        label=sentence(series),
        limit=_text(HEIGHT - series.limit / top * (HEIGHT - 2)),
        area=_area(dots, HEIGHT),
        line=_polyline(dots),
    )


def sparkline(values: Sequence[float], limit: float, label: str) -> SafeString:
    """A line the height of a word, of evenly spaced values."""
    top = max([limit, *values]) or 1.0
    step = SPARK_WIDTH / max(len(values) - 1, 1)
    dots = [(i * step, SPARK_HEIGHT - value / top * (SPARK_HEIGHT - 2)) for i, value in enumerate(values)]
    return format_html(
        '<svg class="sparkline" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}</svg>',
        SPARK_WIDTH,
        SPARK_HEIGHT,
        label,
        _area(dots, SPARK_HEIGHT),
        _polyline(dots),
    )


def _dots(points: Sequence[Point], top: float) -> list[Dot]:
    if not points:
        return []
    start = points[0][0]
    span = (points[-1][0] - start).total_seconds() or 1.0
    return [((at - start).total_seconds() / span * WIDTH, HEIGHT - value / top * (HEIGHT - 2)) for at, value in points]


def _polyline(dots: Sequence[Dot]) -> SafeString:
    return format_html('<polyline class="chart-line" points="{}"/>', _pairs(dots))


def _area(dots: Sequence[Dot], floor: float) -> SafeString:
    if not dots:
        return SafeString("")
    closed = [(dots[0][0], floor), *dots, (dots[-1][0], floor)]
    return format_html('<polygon class="chart-area" points="{}"/>', _pairs(closed))


def _pairs(dots: Sequence[Dot]) -> SafeString:
    return format_html_join(" ", "{},{}", ((_text(x), _text(y)) for x, y in dots))


def _text(value: float) -> str:
    return f"{value:.1f}"
