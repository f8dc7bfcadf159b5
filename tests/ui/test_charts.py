"""Charts say in words what they draw, stay inside their frame, and escape what they are given."""

import re
from datetime import UTC, datetime, timedelta

from portal.lib.charts import HEIGHT, WIDTH, Series, line_chart, sentence, sparkline

START = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)


def series(*values: float, limit: float = 2, label: str = "CPU") -> Series:
    return Series(label, [(START + timedelta(minutes=i), value) for i, value in enumerate(values)], limit, "cores")


def dots(svg: str) -> list[tuple[float, float]]:
    found = re.search(r'<polyline class="chart-line" points="([^"]*)"', svg)
    assert found
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in found[1].split())]


def test_sentence_says_now_peak_and_limit() -> None:
    assert sentence(series(0.5, 1.8, 1.2)) == (
        "CPU over the last 2 min: now 1.2 cores, at most 1.8 cores, limit 2 cores."
    )


def test_bytes_are_written_as_memory() -> None:
    memory = Series("Memory", [(START, 1.5 * 1024**3)], 8 * 1024**3, "bytes")
    assert "now 1.5 GB, at most 1.5 GB, limit 8.0 GB" in sentence(memory)


def test_line_runs_from_edge_to_edge_and_stays_inside() -> None:
    points = dots(line_chart(series(0, 1, 2)))
    assert [points[0][0], points[-1][0]] == [0, WIDTH]
    assert points[0][1] == HEIGHT
    assert all(0 <= y <= HEIGHT for _, y in points)


def test_value_above_the_limit_stays_inside_and_the_limit_moves_down() -> None:
    svg = line_chart(series(1, 4, limit=2))
    assert all(0 <= y <= HEIGHT for _, y in dots(svg))
    limit = re.search(r'y1="([\d.]+)"', svg)
    assert limit
    assert float(limit[1]) > HEIGHT / 3


def test_no_points_and_no_limit_still_draw() -> None:
    empty = line_chart(series(limit=0))
    assert dots(empty) == []
    assert "no measurement yet" in empty


def test_label_is_escaped() -> None:
    assert "<b>" not in line_chart(series(1, label="<b>CPU</b>"))


def test_sparkline_has_its_label_and_one_dot_per_value() -> None:
    svg = sparkline([1, 2, 3], 4, "Spend of the last three days")
    assert 'aria-label="Spend of the last three days"' in svg
    assert len(dots(svg)) == 3
