"""Charts of the page of usage and cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.utils.safestring import SafeString

from portal.lib import clock, plots, words
from portal.lib.money import Money
from portal.lib.plots import Bars, Layer
from portal.usage.reports import Sum

AT_WORK = ("at work", "not at work", "not measured")


@dataclass(frozen=True, slots=True)
class Steps:
    """A time in days or months, as `step` says: when each begins, what was used in it, and where to look closer."""

    step: str
    starts: Sequence[datetime]
    sums: Sequence[Sum]
    urls: Sequence[str]

    def words(self, n: int) -> str:
        return f"{self.starts[n]:%B %Y}" if self.step == "month" else words.day(self.starts[n])

    def begun(self) -> list[int]:
        """The numbers of those that are not still to come."""
        now = clock.now()
        return [n for n, start in enumerate(self.starts) if start <= now]

    def labels(self) -> list[str]:
        return [f"{start:%b}" if self.step == "month" else str(start.day) for start in self.starts]


def spent(steps: Steps, groups: Sequence[tuple[str, Sequence[Sum]]], rest: str = "") -> Bars:
    """A bar for each step, of what each of these groups spent; the last layer is what is left, if that has a name."""
    totals = [one.cost for one in steps.sums]
    amounts = [(name, [one.cost for one in sums]) for name, sums in groups]
    if rest:
        left = [total - sum((each[n] for _, each in amounts), Decimal(0)) for n, total in enumerate(totals)]
        amounts.append((rest, left))
    most = max(range(len(totals)), key=lambda n: totals[n])
    first, last, top = (steps.words(n) for n in (0, -1, most))
    about = f"Spent each {steps.step} from {first} to {last}, most in {top} with {_money(round(totals[most], 4))}."
    sign = words.SIGNS.get(settings.CURRENCY, settings.CURRENCY)
    layers = [Layer(name, [float(amount) for amount in each]) for name, each in amounts]
    drawn = plots.stacked(steps.labels(), layers, about, lambda height: f"{sign} {height:.4g}")
    return Bars(
        title=f"Spent each {steps.step}",
        drawn=drawn if any(one.held for one in steps.sums) else SafeString(""),
        legend=_legend(layers),
        numbers=f"{steps.step.capitalize()}s as numbers",
        heads=[steps.step.capitalize(), "Spent"],
        rows=[(steps.words(n), steps.urls[n], [_money(totals[n])]) for n in steps.begun()],
    )


def gpu_hours(steps: Steps) -> Bars:
    """A bar for each step, of how much of the GPU hours held was at work."""
    hours = [one.hours_at_work("gpu") for one in steps.sums]
    layers = [Layer(name, [float(each[n]) for each in hours]) for n, name in enumerate(AT_WORK)]
    held = sum(sum(layer.values) for layer in layers)
    parts = ", ".join(f"{sum(layer.values):.4g} {layer.label}" for layer in layers)
    about = f"{held:.4g} GPU hours held from {steps.words(0)} to {steps.words(-1)}: {parts}."
    drawn = plots.stacked(steps.labels(), layers, about, plots.number)
    return Bars(
        title=f"GPU hours each {steps.step}",
        drawn=drawn if held else SafeString(""),
        legend=_legend(layers),
        numbers="GPU hours as numbers",
        heads=[steps.step.capitalize(), *(name.capitalize() for name in AT_WORK)],
        rows=[(steps.words(n), steps.urls[n], [f"{part:.1f}" for part in hours[n]]) for n in steps.begun()],
    )


def _legend(layers: Sequence[Layer]) -> list[tuple[str, int]]:
    return [(layer.label, n) for n, layer in enumerate(layers)]


def _money(amount: Decimal) -> str:
    return words.money(Money(amount, settings.CURRENCY))
