"""`flood`: millions of lines of one job, and one line without end, through a whole Berth: kept, at what cost?"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import berth, flood_lines
from benchmarks.berth import Berth
from benchmarks.engine import Engine
from benchmarks.pages import Pages
from benchmarks.polling import until
from benchmarks.processes import memory
from benchmarks.rounds import Result
from deploy.screen import Stopped, say
from runtimes.lines import CUT_MARK

TEMPLATE = "python"
EXIT_CODE = 7
ENDLESS = f"head -c {{gib}}G /dev/zero | tr '\\0' x; exit {EXIT_CODE}"
AT_REST = "seq 2000; exec sleep infinity"
SAY_SECONDS = 15.0
LONGEST_SECONDS = 7200.0
QUIET, FLOODED = "page of a job whose log is at rest", "page of the job that writes"
QUIET_LOG, FLOODED_LOG = "its log alone", "log of the job that writes"
OF_ENDLESS = "page of a job that writes one line without end"
OVER = ("succeeded", "failed")


def measure(lines: int, gib: int) -> Result:
    engine = Engine()
    settings = {"BERTH_RUNTIME": "docker", "BERTH_INSTANCE": engine.run, "BERTH_LOG_GB": "100"}
    with engine.cleared_afterwards(), berth.running(settings) as own:
        own.wait_for_image(TEMPLATE)
        flood = Flood(own, lines)
        flood.run()
        cost = flood.cost | (_endless(flood, gib) if gib else {})
    told = {"Docker": engine.version(), **cost}
    question = f"While a job writes {lines:,} lines"
    return Result("flood", question, "ms", QUIET, flood.samples, told, each="request")


@dataclass
class Flood:
    """One job that writes, beside one whose log is at rest."""

    own: Berth
    lines: int
    cost: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.pages = Pages(self.own, "scientist")
        self.agent = self.own.pid("agent")
        self.quiet = self.submit(["bash", "-c", AT_REST])
        until(lambda: self.written(self.quiet) == 2000, "The log of the job at rest")
        self.before = memory(self.agent)

    def submit(self, command: Sequence[str]) -> str:
        return str(self.own.ask("POST", "jobs/", {"template": TEMPLATE, "command": list(command)})["id"])

    def job(self, pk: str) -> dict[str, Any]:
        found: dict[str, Any] = self.own.ask("GET", f"jobs/{pk}/")
        return found

    def log(self, pk: str) -> dict[str, Any]:
        found: dict[str, Any] = self.own.ask("GET", f"jobs/{pk}/logs/?tail=2")
        return found

    def written(self, pk: str) -> int:
        return int(self.log(pk)["next_after"])

    def run(self) -> None:
        say(f"  A job writes {self.lines:,} lines")
        began = time.monotonic()
        pk = self.submit(["python3", "-c", Path(flood_lines.__file__).read_text(), str(self.lines)])
        paths = {
            QUIET: f"/jobs/{self.quiet}/",
            FLOODED: f"/jobs/{pk}/",
            QUIET_LOG: f"/jobs/{self.quiet}/part/log/",
            FLOODED_LOG: f"/jobs/{pk}/part/log/",
        }
        self.watch(pk, began, paths)
        took = time.monotonic() - began
        self._compare(pk)
        self.cost["lines a second, from the click to the end of the log"] = f"{self.lines / took:,.0f}"
        self.cost["memory of the agent before"] = f"{self.before} MiB"
        self.cost["at most"] = f"{memory(self.agent, 'VmHWM')} MiB"
        say(f"  {took:.0f} s; {self.cost}; { ({name: f'{found[-1]:.0f} ms' for name, found in self.samples.items()}) }")

    def watch(self, pk: str, began: float, paths: Mapping[str, str]) -> None:
        """Until it and its log are over, with these pages in turns."""
        said = began
        while not (self.job(pk)["state"] in OVER and self.log(pk)["state"] != "open"):
            for name, path in paths.items():
                self.pages.get(name, path)
            if time.monotonic() - said > SAY_SECONDS:
                said = time.monotonic()
                say(f"  {said - began:5.0f} s   {self.written(pk):,} lines kept, agent {memory(self.agent)} MiB")
            if said - began > LONGEST_SECONDS:
                raise Stopped(f"It was not over after {LONGEST_SECONDS:.0f} seconds.")
            time.sleep(0.5)

    def _compare(self, pk: str) -> None:
        """What is kept is what was written: as many lines, and the same bytes."""
        say("  Comparing what is kept")
        if (found := self.job(pk)["state"]) != "succeeded" or self.log(pk)["state"] != "complete":
            raise Stopped(f"The job has {found}, and its log is {self.log(pk)['state']}.")
        wanted, kept, count = hashlib.sha256(), hashlib.sha256(), 0
        for first in range(0, self.lines, 100_000):
            wanted.update(flood_lines.lines(first, min(first + 100_000, self.lines)))
        for piece in self.pages.download(f"/jobs/{pk}/log/1/"):
            kept.update(piece)
            count += piece.count(b"\n")
        if (count, kept.digest()) != (self.lines, wanted.digest()):
            raise Stopped(f"What is kept differs: {count:,} lines of {self.lines:,}.")
        say(f"  {count:,} lines, SHA-256 {kept.hexdigest()}: as written")

    @property
    def samples(self) -> dict[str, list[float]]:
        """Each request, and for each page the 95th percentile of them."""
        found: dict[str, list[float]] = {}
        for name, took in self.pages.took.items():
            found[name] = took
            found[f"{name}, 95th percentile"] = [self.pages.slow(name)]
        return found


def _endless(flood: Flood, gib: int) -> dict[str, str]:
    """One line of so many GiB: cut, harmless, and its job ends as its program does."""
    say(f"  A job writes one line of {gib} GiB")
    began = time.monotonic()
    pk = flood.submit(["bash", "-c", ENDLESS.format(gib=gib)])
    flood.watch(pk, began, {OF_ENDLESS: f"/jobs/{pk}/"})
    took = time.monotonic() - began
    page = flood.pages.get(OF_ENDLESS, f"/jobs/{pk}/")
    job, log = flood.job(pk), flood.log(pk)
    lines = [line["line"] for line in log["results"]]
    if (job["state"], job["exit_code"], log["state"]) != ("failed", EXIT_CODE, "complete"):
        raise Stopped(f"The job has {job['state']} with {job['exit_code']}, and its log is {log['state']}.")
    if len(lines) != 1 or not lines[0].endswith(CUT_MARK) or len(page) > 1024**2:
        raise Stopped(f"Of one endless line came {len(lines)}, the page has {len(page):,} characters.")
    say(f"  One line, cut at 8 KiB; exit code {EXIT_CODE}")
    return {f"seconds for a line of {gib} GiB": f"{took:.0f}", "then at most": f"{memory(flood.agent, 'VmHWM')} MiB"}
