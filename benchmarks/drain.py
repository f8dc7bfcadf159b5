"""`drain`: hundreds of queued jobs of several people, on the bare engine and through Berth; and cancelling many."""

import json
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks import berth
from benchmarks.berth import Berth
from benchmarks.drain_jobs import PEOPLE, SAID
from benchmarks.engine import HOME, Engine
from benchmarks.launch import settings
from benchmarks.polling import until
from benchmarks.raw_engine import KEPT
from benchmarks.rounds import Result
from deploy.screen import Stopped, say

TEMPLATE = "python"
CANCELLED = 200
LOOK_SECONDS = 15
LONGEST_SECONDS = 7200
RAW, BERTH = "bare engine", "Berth"


def measure(jobs: int) -> Result:
    engine = Engine()
    with engine.cleared_afterwards(), berth.running(settings(engine)) as own:
        own.wait_for_image(TEMPLATE)
        drain = Drain(own, engine)
        like = drain.example()
        took, places, widest = drain.run(jobs)
        bare = Bare(engine, like, places).run(jobs)
        cancelled = drain.cancel(CANCELLED)
    samples = {RAW: [bare], BERTH: [took], f"Berth: {CANCELLED} queued ones cancelled at once": [cancelled]}
    told = {
        "Docker": engine.version(),
        "people": str(sum(map(len, PEOPLE.values()))),
        "at once": str(places),
        "most that one person was ahead of another": f"{widest} jobs",
    }
    return Result("drain", f"{jobs} queued jobs, until the last container is gone", "seconds", RAW, samples, told)


class Drain:
    """A Berth whose node is closed until a line has formed."""

    def __init__(self, own: Berth, engine: Engine) -> None:
        self._own, self._engine = own, engine

    def _do(self, what: str, *arguments: str) -> Any:
        return json.loads(self._own.python("-m", "benchmarks.drain_jobs", what, *arguments).splitlines()[-1])

    def example(self) -> dict[str, Any]:
        """The engine's description of a container that Berth made for a job."""
        job = self._own.ask("POST", "jobs/", {"template": TEMPLATE, "command": ["sleep", "600"]})["id"]
        until(lambda: bool(self._engine.containers(f"berth.owner={job}", "running")), "The start of a job")
        described = self._engine.inspect(self._engine.containers(f"berth.owner={job}")[0])
        self._own.ask("POST", f"jobs/{job}/cancel/")
        until(lambda: not self._containers(), "The end of a job")
        return described

    def _containers(self) -> list[str]:
        return self._engine.containers([f"berth.instance={self._engine.run}", "berth.allocation"])

    def run(self, jobs: int) -> tuple[float, int, int]:
        """Seconds, how many ran at once, and how many jobs one person was ahead of another at most."""
        say(f"  Queueing {jobs} jobs")
        self._do("close")
        queued = set(self._do("queue", str(jobs)))
        cores = self._do("open")["cores"]
        began = time.monotonic()
        while (states := self._do("wait", str(LOOK_SECONDS))).keys() - {"succeeded", "failed", "cancelled"}:
            say(f"  {time.monotonic() - began:5.0f} s   {_told(states)}, {len(self._containers())} containers")
            if time.monotonic() - began > LONGEST_SECONDS:
                raise Stopped(f"It was not over after {LONGEST_SECONDS} seconds.")
        until(lambda: not self._containers(), "The end of the last container")
        took = time.monotonic() - began
        widest = _in_order(self._do("begun"), queued)
        say(f"  {took:.0f} s, each once and in order; one person was ahead of another by {widest} jobs at most")
        return took, int(cores), widest

    def cancel(self, jobs: int) -> float:
        """Seconds from the one request until all are over."""
        self._do("close")
        queued = self._do("queue", str(jobs), "scientist")
        before = self._do("wait", "0")
        began = time.monotonic()
        done = self._own.ask("POST", "jobs/cancel/", {"jobs": queued}, patience=300)
        answered = time.monotonic() - began
        after = self._do("wait", "60")
        took = time.monotonic() - began
        if len(done["cancelled"]) != jobs or after["cancelled"] - before.get("cancelled", 0) != jobs:
            raise Stopped(f"Of {jobs} cancelled jobs {len(done['cancelled'])} were: {_told(after)}.")
        if self._containers():
            raise Stopped("A job that was cancelled in the line has a container.")
        say(f"  {jobs} queued jobs cancelled: answered after {answered:.1f} s, over after {took:.1f} s at latest")
        return answered


def _told(states: dict[str, int]) -> str:
    return ", ".join(f"{number} {state}" for state, number in sorted(states.items()))


def _in_order(begun: dict[str, Any], queued: set[str]) -> int:
    """How many jobs one person was ahead of another at most, while both waited.

    Raises Stopped where a job of somebody overtook an earlier one, or where one did not succeed exactly once.
    """
    if wrong := {pk: how for pk, how in begun["wrong"].items() if pk in queued}:
        raise Stopped(f"{len(wrong)} jobs did not succeed once: {wrong}")
    placed = [(person, pk) for person, pk in begun["placed"] if pk in queued]
    if len(placed) != len(queued):
        raise Stopped(f"{len(queued)} jobs were given {len(placed)} places.")
    for person, ids in begun["queued"].items():
        if [pk for whose, pk in placed if whose == person] != [pk for pk in ids if pk in queued]:
            raise Stopped(f"Jobs of {person} overtook each other.")
    return _widest([person for person, _ in placed])


def _widest(people: Sequence[str]) -> int:
    waiting, had, widest = Counter(people), Counter(dict.fromkeys(people, 0)), 0
    for person in people:
        had[person] += 1
        waiting[person] -= 1
        if not all(waiting.values()):
            break
        widest = max(widest, max(had.values()) - min(had.values()))
    return widest


class Bare:
    """Runs copies of the container `like`, so many at once: made, started, waited for, its log read, and removed."""

    def __init__(self, engine: Engine, like: dict[str, Any], places: int) -> None:
        self._engine, self._places = engine, places
        self._api: Any = engine.client.api
        self._kept = engine.make_volume("raw-kept")
        self._mounts = like["HostConfig"]["Mounts"]
        self._config = {name: like["Config"][name] for name in KEPT} | {
            "Cmd": ["bash", "-c", f"echo {SAID}"],
            "Labels": engine.labels,
        }
        self._host = like["HostConfig"] | {"NetworkMode": engine.make_network("raw")}

    def run(self, jobs: int) -> float:
        say(f"  The same {jobs} containers on the bare engine")
        began = time.monotonic()
        with ThreadPoolExecutor(self._places) as pool:
            list(pool.map(self._one, range(jobs)))
        took = time.monotonic() - began
        say(f"  {took:.0f} s")
        return took

    def _one(self, number: int) -> None:
        own = self._engine.make_volume(f"raw-{number}")
        mounts = [one | {"Source": own if one["Target"] == HOME else self._kept} for one in self._mounts]
        config = self._config | {"HostConfig": self._host | {"Mounts": mounts}}
        container = self._api.create_container_from_config(config)["Id"]
        self._api.start(container)
        code, said = self._api.wait(container)["StatusCode"], self._api.logs(container).decode()
        self._api.remove_container(container, v=True)
        if (code, said.strip()) != (0, SAID):
            raise Stopped(f"A container ended with {code} and said {said!r}.")
