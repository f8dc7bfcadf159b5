"""Takes turns: every contender is measured once a round, so that noise on the machine hits all alike."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from deploy.screen import say

Measure = Callable[[], float]


@dataclass(frozen=True)
class Result:
    """What was measured, by contender in the order of the table; ratios are to the median of `yardstick`.

    `parts` says where Berth's own share went, in the same unit; `each` is what one sample of the yardstick was."""

    name: str
    question: str
    unit: str
    yardstick: str
    samples: Mapping[str, list[float]]
    versions: Mapping[str, str]
    parts: Mapping[str, list[float]] = field(default_factory=dict)
    each: str = "round"

    @property
    def limit(self) -> float:
        return statistics.median(self.samples[self.yardstick])

    def ratios(self, contender: str) -> list[float]:
        return [value / self.limit for value in self.samples[contender]]


def take_turns(contenders: Mapping[str, Measure], rounds: int) -> dict[str, list[float]]:
    """One round that does not count, in which caches fill and homes are made, then `rounds` that do."""
    samples: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        values = {name: measure() for name, measure in contenders.items()}
        shown = "   ".join(f"{name} {value:,.2f}" for name, value in values.items())
        say(f"  {f'round {number}' if number else 'warm-up'}   {shown}")
        for name, value in values.items():
            if number:
                samples[name].append(value)
    return samples
