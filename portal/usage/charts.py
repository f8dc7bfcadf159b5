"""Charts of the page of usage and cost, and the same as numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.utils.safestring import SafeString

from portal.lib import clock, plots, words
from portal.lib.money import Money
from portal.usage.reports import Sum

AT_WORK = ("at work", "not at work", "not measured")


@dataclass(frozen=True, slots=True)
class Steps:
    """A time in days or months, as `step` says: when each begins, and what was used in it."""

    step: str
    starts: Sequence[datetime]
    sums: Sequence[Sum]

    def words(self, n: int) -> str:
        return f"{self.starts[n]:%B %Y}" if self.step == "month" else words.day(self.starts[n])

    def labels(self) -> list[str]:
        return [f"{start:%b}" if self.step == "month" else str(start.day) for start in self.starts]


def spent(steps: Steps, groups: Sequence[tuple[str, Sequence[Sum]]], rest: str = "") -> SafeString:
    """A bar for each step, of what each of these groups spent; the last layer is what is left, if that has a name."""
    if not any(one.held for one in steps.sums):
        return SafeString("")
    totals = [one.cost for one in steps.sums]
    amounts = [(name, [one.cost for one in sums]) for name, sums in groups]
    if rest:
        left = [total - sum((each[n] for _, each in amounts), Decimal(0)) for n, total in enumerate(totals)]
        amounts.append((rest, left))
    layers = [plots.Layer(name, [float(amount) for amount in each]) for name, each in amounts]
    most = max(range(len(totals)), key=lambda n: totals[n])
    first, last, top = (steps.words(n) for n in (0, -1, most))
    amount = words.money(_money(round(totals[most], 4)))
    about = f"Spent each {steps.step} from {first} to {last}, most in {top} with {amount}."
    sign = words.SIGNS.get(settings.CURRENCY, settings.CURRENCY)
    return plots.stacked(steps.labels(), layers, about, lambda height: f"{sign} {height:.4g}")


def gpu_hours(steps: Steps) -> SafeString:
    """A bar for each step, of how much of the GPU hours held was at work."""
    hours = [one.hours_at_work("gpu") for one in steps.sums]
    layers = [plots.Layer(name, [float(each[n]) for each in hours]) for n, name in enumerate(AT_WORK)]
    held = sum(sum(layer.values) for layer in layers)
    if not held:
        return SafeString("")
    parts = ", ".join(f"{sum(layer.values):.4g} {layer.label}" for layer in layers)
    about = f"{held:.4g} GPU hours held from {steps.words(0)} to {steps.words(-1)}: {parts}."
    return plots.stacked(steps.labels(), layers, about, plots.number)


def numbers(steps: Steps) -> list[tuple[str, Money, tuple[Decimal, ...]]]:
    """Of each step what was spent, and its GPU hours as in AT_WORK; what is to come is left out."""
    now = clock.now()
    return [
        (steps.words(n), _money(one.cost), one.hours_at_work("gpu"))
        for n, (start, one) in enumerate(zip(steps.starts, steps.sums, strict=True))
        if start <= now
    ]


def _money(amount: Decimal) -> Money:
    return Money(amount, settings.CURRENCY)
