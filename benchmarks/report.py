"""Shows results: with their units on the screen, as ratios between the markers of docs/reference/benchmarks.md."""

import os
import platform
import re
import statistics
from datetime import UTC, datetime

from benchmarks.rounds import Result
from deploy.python_environment import ROOT
from deploy.screen import say

PAGE = ROOT / "docs" / "reference" / "benchmarks.md"


def show(result: Result) -> None:
    say(f"\n{result.question} ({result.unit}, {_samples(result)})")
    width = max(map(len, result.samples))
    for name, values in result.samples.items():
        middle, ratios = statistics.median(values), result.ratios(name)
        spread = f"{min(values):,.2f} – {max(values):,.2f}"
        say(f"  {name:<{width}}  {middle:>10,.2f}  ({spread})  {statistics.median(ratios):.2f} × {result.yardstick}")
    for part, values in result.parts.items():
        say(f"    Berth, {part}: {statistics.median(values):.2f}")


def write(result: Result) -> None:
    """Replace what lies between this benchmark's markers in the page."""
    begin, end = f"<!-- {result.name} begins -->", f"<!-- {result.name} ends -->"
    text = PAGE.read_text()
    pattern = re.compile(f"(?<={re.escape(begin)}\n).*?(?={re.escape(end)})", re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"{PAGE} has no lines “{begin}” and “{end}” to write between.")
    PAGE.write_text(pattern.sub(lambda _: _table(result), text))


def _table(result: Result) -> str:
    rows = [f"| {name} | {_times(result.ratios(name))} |\n" for name in result.samples]
    head = f"| {result.question} | × {result.yardstick}: median (least – most) |\n|---|---|\n"
    return f"\n{head}{''.join(rows)}\n{_parts(result)}{_circumstances(result)}\n\n"


def _times(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} – {max(ratios):.2f})"


def _parts(result: Result) -> str:
    """A line per part, as medians of the same ratio."""
    lines = [f"- {part}: {statistics.median(values) / result.limit:.2f}\n" for part, values in result.parts.items()]
    return f"Where Berth's time goes, on the same scale:\n\n{''.join(lines)}\n" if lines else ""


def _circumstances(result: Result) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    today = datetime.now(UTC).date().isoformat()
    return f"{today}, {_samples(result)}, {_machine()}; {versions}."


def _samples(result: Result) -> str:
    number = len(result.samples[result.yardstick])
    return f"{number} {result.each}{'' if number == 1 else 's'}"


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    return f"{os.cpu_count()} cores, {memory:.0f} GiB of memory, {platform.system()} on {platform.machine()}"
