"""Fractions of pulls and builds, and the address ranges of networks."""

from typing import Any

import pytest

from runtimes.progress import BuildProgress, PullProgress
from runtimes.subnets import candidates


def _downloading(layer: str, current: int, total: int) -> dict[str, Any]:
    return {"id": layer, "status": "Downloading", "progressDetail": {"current": current, "total": total}}


def test_a_pull_counts_the_bytes_of_all_layers_and_never_goes_back() -> None:
    progress = PullProgress()
    messages = [
        {"status": "Pulling from library/debian", "id": "latest"},
        _downloading("a", 50, 100),
        _downloading("b", 0, 300),
        _downloading("b", 150, 300),
        {"id": "a", "status": "Pull complete", "progressDetail": {}},
        {"id": "b", "status": "Download complete", "progressDetail": {}},
    ]
    assert [progress.read(one).fraction for one in messages] == [None, 0.5, 0.5, 0.5, 0.625, 1.0]


def test_a_build_counts_steps_and_keeps_the_last_lines() -> None:
    progress = BuildProgress()
    seen = [
        progress.read({"stream": text}) for text in ("Step 1/4 : FROM x\n", " ---> 1\n", "Step 3/4 : RUN y\n", "\n")
    ]
    assert [one.fraction if one else None for one in seen] == [0.0, 0.0, 0.5, None]
    for number in range(50):
        progress.read({"stream": f"line {number}\n"})
    assert list(progress.last_lines)[-1] == "line 49"
    assert len(progress.last_lines) == 20


def test_a_build_keeps_what_the_engine_coloured() -> None:
    progress = BuildProgress()
    said = progress.read({"stream": "\x1b[91mERROR: no such package\nERROR: nothing fits\n\x1b[0m"})
    assert said is not None
    assert said.message == "ERROR: nothing fits"
    assert list(progress.last_lines) == ["ERROR: no such package", "ERROR: nothing fits"]
    assert progress.read({"stream": "\x1b[0m"}) is None


def test_a_name_always_gets_the_same_free_range_first() -> None:
    first = list(candidates("10.201.0.0/24", "alice", []))
    assert first == list(candidates("10.201.0.0/24", "alice", []))
    assert len(first) == len(set(first)) == 16
    assert first[0] != next(candidates("10.201.0.0/24", "bob", []))


def test_taken_ranges_are_passed_over_whatever_their_size() -> None:
    taken = ["10.201.0.0/25", "10.201.0.192/30", "fd00::/64", "", "172.17.0.0/16"]
    left = set(candidates("10.201.0.0/24", "alice", taken))
    assert left == {"10.201.0.128/28", "10.201.0.144/28", "10.201.0.160/28", "10.201.0.176/28"} | {
        "10.201.0.208/28", "10.201.0.224/28", "10.201.0.240/28"
    }  # fmt: skip
    assert list(candidates("10.201.0.0/24", "alice", ["10.0.0.0/8"])) == []


def test_a_range_that_is_no_range_is_an_error_at_once() -> None:
    with pytest.raises(ValueError, match="no range"):
        next(candidates("no range", "alice", []))
