"""`python -m deploy.services -- python -m benchmarks.fairness_page`: draws the simulated week into the docs."""

import os
import re

import django
from django.core.management import call_command

from benchmarks.fairness import CORES, SHARES, Course, Moment, course, week
from deploy.python_environment import ROOT

PAGE = ROOT / "docs" / "explanation" / "who-goes-first.md"
PICTURE = PAGE.with_name("fair-share.svg")
EVERY = 12
"""Hours between two rows of the table."""
STYLE = """<style>
svg { font-family: system-ui, sans-serif; background: #fff }
.plot-line { fill: none; stroke-width: 2 } .plot-grid { stroke: #d5d9de } .plot-tick { fill: #555b61; font-size: 12px }
.plot-0 { stroke: #2f5bd7 } .plot-1 { stroke: #0e8074 } .plot-2 { stroke: #b2530c }
</style>"""


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"
    django.setup()
    call_command("migrate", verbosity=0)
    seen = course(week())
    PICTURE.write_text(_picture(seen))
    begin, end = "<!-- week begins -->\n", "<!-- week ends -->"
    between = re.compile(f"(?<={re.escape(begin)}).*?(?={re.escape(end)})", re.DOTALL)
    PAGE.write_text(between.sub(lambda _: f"\n{_table(seen)}\n", PAGE.read_text()))


def _picture(seen: Course) -> str:
    from portal.lib.plots import Line, plot

    lines = [Line(team, [(m.hour, m.parts[team]) for m in seen.moments if m.waiting.total()]) for team in SHARES]
    drawn = plot(lines, "The part of each team of what all had lately, by hours")
    return drawn.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1).replace(">", f">{STYLE}", 1) + "\n"


def _table(seen: Course) -> str:
    head = ["hour", *(f"{team} (share {share})" for team, share in SHARES.items()), "waiting"]
    rows = [head, ["---"] + ["---:"] * (len(head) - 1)]
    rows += [_row(moment) for moment in seen.contended() if moment.hour % EVERY == 0]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows) + f"\n{_waits(seen)}\n"


def _row(moment: Moment) -> list[str]:
    parts = [f"{moment.parts[team]:.1%}" for team in SHARES]
    return [f"{moment.hour:.0f}", *parts, " + ".join(str(moment.waiting[team]) for team in SHARES)]


def _waits(seen: Course) -> str:
    longest = {team: max(at - job.arrives for job, at in seen.begun.items() if job.team == team) for team in SHARES}
    said = ", ".join(f"{hours:.0f} hours for {team}" for team, hours in longest.items())
    return f"{len(seen.begun):,} jobs on {CORES} cores. The longest wait: {said}."


if __name__ == "__main__":
    main()
