"""What a program says by lines of its log, and what is only text."""

import pytest

from jobs.markers import Metric, told


@pytest.mark.parametrize(
    ("line", "share"),
    [
        ("::progress 0.42::", 0.42),
        ("epoch 3 ::progress 42%::", 0.42),
        ("::progress 1::", 1.0),
        ("::progress 7::", 1.0),
        ("::progress .5::", 0.5),
        ("::progress 5e-2::", 0.05),
    ],
)
def test_progress(line: str, share: float) -> None:
    assert told([(1, line)]).progress == share


@pytest.mark.parametrize(
    "line",
    [
        "::progress x::",
        "::progress -1::",
        "progress 0.4",
        "::progress 0.4",
        "::progress nan::",
        "::progress " + "1" * 8000,
    ],
)
def test_not_quite_progress_is_text(line: str) -> None:
    assert told([(1, line)]).progress is None


@pytest.mark.parametrize(
    ("line", "metric"),
    [
        ("::metric loss=0.25 step=3::", Metric("loss", 0.25, 3)),
        ("::metric val/loss=-1e-3::", Metric("val/loss", -0.001, None)),
        ("::metric top 5 accuracy=.9 step=0::", Metric("top 5 accuracy", 0.9, 0)),
        ("::metric x=5.::", Metric("x", 5.0, None)),
        ("2026-11-21 INFO ::metric f1=1:: done", Metric("f1", 1.0, None)),
    ],
)
def test_metrics(line: str, metric: Metric) -> None:
    assert told([(7, line)]).metrics == [(7, metric)]


@pytest.mark.parametrize(
    "line",
    [
        "::metric loss=nan::",
        "::metric loss=1e999::",
        "::metric =1::",
        "::metric loss=1 step=x::",
        "::metric x=" + "1" * 8000,
    ],
)
def test_not_quite_a_metric_is_text(line: str) -> None:
    assert told([(1, line)]).metrics == []


def test_the_last_progress_and_the_commit_count() -> None:
    found = told(enumerate(["::progress 0.1::", f"::commit {'a' * 40}::", "::progress 0.2::"]))
    assert (found.progress, found.commit) == (0.2, "a" * 40)
