"""Points of a sweep: every combination of a grid, repeatable draws at random, and what is refused."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.spaces import points
from portal.lib.errors import Invalid

NUMBER = st.floats(-1e6, 1e6) | st.integers(-(10**6), 10**6)


@st.composite
def ranges(draw: st.DrawFn) -> dict[str, Any]:
    log, integer = draw(st.booleans()), draw(st.booleans())
    numbers = st.integers(1 if log else -1000, 1000) if integer else st.floats(1e-6 if log else -1e6, 1e6)
    low, high = sorted(draw(st.lists(numbers, min_size=2, max_size=2, unique=True)))
    return {"min": low, "max": high, "log": log, "integer": integer}


CHOICES = st.lists(st.text(max_size=5) | NUMBER | st.booleans(), min_size=1, max_size=9)
SPACES = st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), ranges() | CHOICES, min_size=1, max_size=4)


@given(SPACES, st.integers(1, 50), st.integers(-(2**40), 2**40))
def test_random_points_are_inside_and_the_same_again(space: dict[str, Any], count: int, seed: int) -> None:
    drawn = points("random", space, count, seed)
    assert len(drawn) == count
    assert drawn == points("random", dict(reversed(space.items())), count, seed)
    assert points("random", space, count + 5, seed)[:count] == drawn
    for point in drawn:
        assert set(point) == set(space)
        for name, value in point.items():
            wanted = space[name]
            if isinstance(wanted, list):
                assert value in wanted
                continue
            assert not isinstance(value, str)
            assert wanted["min"] <= value <= wanted["max"]
            assert isinstance(value, int) or not wanted["integer"]


def test_another_seed_draws_other_points() -> None:
    space = {"lr": {"min": 0.0001, "max": 1, "log": True}}
    assert points("random", space, 5, 1) != points("random", space, 5, 2)


def test_log_ranges_are_even_by_size() -> None:
    drawn = points("random", {"lr": {"min": 1e-4, "max": 1, "log": True}}, 1000, 7)
    small = sum(1 for point in drawn if float(point["lr"]) < 1e-2)
    assert 430 < small < 570


def test_whole_numbers_reach_both_ends() -> None:
    drawn = points("random", {"depth": {"min": 3, "max": 5, "integer": True}}, 100, 1)
    assert {point["depth"] for point in drawn} == {3, 4, 5}


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,5}", fullmatch=True), st.lists(NUMBER, min_size=1, max_size=4), min_size=1, max_size=4
    )
)
def test_a_grid_is_every_combination_once(space: dict[str, Any]) -> None:
    found = points("grid", space, None, 0)
    assert len(found) == math.prod(map(len, space.values()))
    assert found[0] == {name: values[0] for name, values in space.items()}
    assert found[-1] == {name: values[-1] for name, values in space.items()}


def test_a_grid_goes_in_order() -> None:
    found = points("grid", {"lr": [0.1, 0.01], "depth": [3, 5]}, None, 0)
    assert found == [
        {"lr": 0.1, "depth": 3},
        {"lr": 0.1, "depth": 5},
        {"lr": 0.01, "depth": 3},
        {"lr": 0.01, "depth": 5},
    ]


@pytest.mark.parametrize(
    ("kind", "space", "count", "field", "said"),
    [
        ("spiral", {"lr": [1]}, 1, "kind", "grid, random"),
        ("grid", {}, None, "space", "at least one"),
        ("grid", {"a": list(range(100)), "b": list(range(11))}, None, "space", "this has 1,100"),
        ("grid", {"lr": []}, None, "space.lr", "list"),
        ("grid", {"lr": 0.1}, None, "space.lr", "list"),
        ("grid", {"lr": {"min": 0, "max": 1}}, None, "space.lr", "list"),
        ("grid", {"lr": [None]}, None, "space.lr", "values"),
        ("grid", {"lr": [float("nan")]}, None, "space.lr", "values"),
        ("random", {"lr": [1]}, None, "count", "1 to 1,000"),
        ("random", {"lr": [1]}, 0, "count", "1 to 1,000"),
        ("random", {"lr": [1]}, 1001, "count", "1 to 1,000"),
        ("random", {"lr": [1]}, True, "count", "1 to 1,000"),
        ("random", {"lr": {"min": 1, "max": 1}}, 2, "space.lr", "less than"),
        ("random", {"lr": {"min": 0, "max": 1, "log": True}}, 2, "space.lr", "above 0"),
        ("random", {"lr": {"min": 0.5, "max": 2, "integer": True}}, 2, "space.lr", "whole"),
        ("random", {"lr": {"min": "0", "max": 1}}, 2, "space.lr", "numbers"),
        ("random", {"lr": {"min": 0, "max": float("inf")}}, 2, "space.lr", "numbers"),
        ("random", {"lr": {"min": 0, "max": 1, "step": 1}}, 2, "space.lr", "log and integer"),
        ("random", {"lr": {"min": 0, "max": 1, "log": "yes"}}, 2, "space.lr", "log and integer"),
    ],
)  # fmt: skip
def test_what_is_refused_names_its_field(kind: str, space: Any, count: Any, field: str, said: str) -> None:
    with pytest.raises(Invalid) as problem:
        points(kind, space, count, 0)
    assert said in problem.value.fields[field][0]
