"""The points of a sweep: pure functions from a space of parameters to the list of their values."""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from jobs.plan_states import Space
from portal.lib.errors import Invalid

MOST_POINTS = 1000
MOST_CHOICES = 1000
Value = str | int | float | bool
Point = dict[str, Value]
_RANGE = {"min", "max", "log", "integer"}


def points(kind: str, space: Mapping[str, Any], count: int | None, seed: int) -> list[Point]:
    """All points in their order. Raises Invalid naming `kind`, `count`, `seed`, `space` or `space.<parameter>`.

    A grid is every combination of `{name: [values]}`, the last name fastest; `count` is not asked. At random, `count`
    points are drawn from `{name: [values] | {min, max, log?, integer?}}`: the same for the same seed, and a larger
    count only adds to them.
    """
    if kind not in Space.values:
        raise Invalid.field("kind", f"Choose one of: {', '.join(Space.values)}.")
    if not isinstance(space, Mapping) or not space:
        raise Invalid.field("space", "Name at least one parameter and its values, such as lr: [0.1, 0.01].")
    return _grid(space) if kind == Space.GRID else _random(space, count, seed)


def is_log(space: Mapping[str, Any], name: str) -> bool:
    """Whether its values lie by their size, not by their distance."""
    return isinstance(space.get(name), Mapping) and bool(space[name].get("log"))


def _grid(space: Mapping[str, Any]) -> list[Point]:
    lists = {name: _choices(name, values) for name, values in space.items()}
    _count("space", math.prod(map(len, lists.values())))
    return [dict(zip(lists, values, strict=True)) for values in product(*lists.values())]


def _random(space: Mapping[str, Any], count: int | None, seed: int) -> list[Point]:
    if isinstance(seed, bool) or not isinstance(seed, int) or abs(seed) >= 2**53:
        raise Invalid.field("seed", "Give a whole number of at most 15 digits.")
    number = _count("count", count)
    drawn = {name: _draws(name, wanted, number, seed) for name, wanted in space.items()}
    return [dict(zip(drawn, values, strict=True)) for values in zip(*drawn.values(), strict=True)]


def _count(field: str, number: int | None) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= MOST_POINTS:
        said = f"; this has {number:,}" if field == "space" else ""
        raise Invalid.field(field, f"A sweep has 1 to {MOST_POINTS:,} points{said}.")
    return number


def _draws(name: str, wanted: Any, number: int, seed: int) -> list[Value]:
    """Each parameter has a stream of its own, so that neither their order nor another one changes what is drawn."""
    shares = _shares(f"{seed}:{name}", number)
    if isinstance(wanted, Mapping):
        low, high, log, integer = _range(name, wanted)
        return [_between(share, low, high, log, integer) for share in shares]
    values = _choices(name, wanted)
    return [values[int(share * len(values))] for share in shares]


def _shares(seed: str, number: int) -> Iterator[float]:
    source = random.Random(seed)  # noqa: S311  # to be repeatable, not secret
    return (source.random() for _ in range(number))


def _between(share: float, low: float, high: float, log: bool, integer: bool) -> float | int:
    """Each whole number is as likely as its share of [low, high + 1), by size where `log`."""
    top = high + 1 if integer else high
    value = low * (top / low) ** share if log else low + share * (top - low)
    return int(min(max(math.floor(value), low), high)) if integer else min(max(value, low), high)


def _range(name: str, wanted: Mapping[str, Any]) -> tuple[float, float, bool, bool]:
    low, high = _number(name, wanted.get("min")), _number(name, wanted.get("max"))
    log, integer = wanted.get("log", False), wanted.get("integer", False)
    if set(wanted) - _RANGE or not isinstance(log, bool) or not isinstance(integer, bool):
        raise _refused(name, "a range is {min, max} with log and integer as true or false")
    if not low < high:
        raise _refused(name, "min must be less than max")
    if log and low <= 0:
        raise _refused(name, "min must be above 0 where log is set")
    if integer and not (float(low).is_integer() and float(high).is_integer()):
        raise _refused(name, "min and max must be whole numbers where integer is set")
    return low, high, log, integer


def _number(name: str, value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) <= 1e15:
        raise _refused(name, "min and max must be numbers")
    return value


def _choices(name: str, wanted: Any) -> Sequence[Value]:
    if not isinstance(wanted, list) or not 1 <= len(wanted) <= MOST_CHOICES:
        raise _refused(name, f"give a list of 1 to {MOST_CHOICES:,} values")
    for value in wanted:
        if not isinstance(value, str | int | float) or (isinstance(value, float) and not math.isfinite(value)):
            raise _refused(name, "values are text, numbers or yes/no")
    return wanted


def _refused(name: str, sentence: str) -> Invalid:
    return Invalid.field(f"space.{str(name)[:60]}", f"{str(name)[:60]}: {sentence}.")
