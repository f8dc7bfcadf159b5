"""A made-up quarter of work for the demo: who ran what, when, on what, how it ended, and what was kept.

Without a database. The same last day gives the same quarter. GPUs are held by as many runs as there are devices, so
that others wait.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from random import Random

from portal.compute.states import Reason

DAYS = 91
DEVICES = 4
PULL = timedelta(seconds=9)
"""From its place to its start, in every run."""
STEPS = 20
TEAMS = {"vision": "Vision", "risk": "Risk", "language": "Language"}


@dataclass(frozen=True, slots=True)
class Person:
    """`busy`: from 0 to 1, how likely it is that this person works on a day; `gpus`: that a job takes some."""

    username: str
    name: str
    team: str
    leads: bool
    busy: float
    gpus: float
    ide: str
    size: str


PEOPLE = (
    Person("scientist", "Vera Rosén", "vision", False, 0.9, 0.5, "jupyter-python", "medium"),
    Person("lead", "Luis Okafor", "vision", True, 0.5, 0.2, "vscode", "small"),
    Person("mia", "Mia Haddad", "vision", False, 0.8, 0.7, "vscode", "gpu-1"),
    Person("tomas", "Tomás Silva", "vision", False, 0.6, 0.4, "jupyter-python", "small"),
    Person("outsider", "Oda Berg", "risk", False, 0.8, 0.0, "rstudio", "medium"),
    Person("ines", "Inês Duarte", "risk", True, 0.6, 0.1, "jupyter-datascience", "large"),
    Person("kofi", "Kofi Mensah", "risk", False, 0.7, 0.0, "rstudio", "small"),
    Person("yuki", "Yuki Tanaka", "language", True, 0.7, 0.5, "jupyter-python", "medium"),
    Person("noor", "Noor Rahman", "language", False, 0.9, 0.8, "jupyter-python", "gpu-1"),
    Person("felix", "Felix Braun", "language", False, 0.4, 0.3, "vscode", "small"),
)
JOBS = {
    "vision": ("segment-leaves", "augment", "train-detector", "score-frames"),
    "risk": ("backtest", "calibrate", "nightly-scores"),
    "language": ("fine-tune", "tokenise", "evaluate", "distil"),
}
PROJECTS = {
    "leaves": ("segment-leaves", "augment"),
    "detector": ("train-detector", "score-frames", "frames"),
    "stress-test": ("backtest", "calibrate", "portfolio"),
    "scoring": ("nightly-scores",),
    "assistant": ("fine-tune", "distil"),
    "corpus-2": ("tokenise", "corpus"),
}
"""What each of them is for, but for some."""
ENDINGS = {
    Reason.COMPLETED: 81,
    Reason.FAILED: 10,
    Reason.OOM: 3,
    Reason.CANCELLED: 4,
    Reason.MAX_DURATION: 2,
}
"""In a hundred jobs."""


@dataclass(frozen=True, slots=True)
class Run:
    """`name` is what the workspace or job is called; a workspace of one name is one that is started again.

    `losses` are what a job said of itself, step by step.
    """

    person: Person
    kind: str
    name: str
    template: str
    size: str
    gpus: int
    wished_at: datetime
    started_at: datetime
    ended_at: datetime
    reason: Reason
    losses: tuple[float, ...] = ()

    @property
    def project(self) -> str:
        what = self.name.rstrip("0123456789-")
        return next((project for project, names in PROJECTS.items() if what in names), "")

    @property
    def at_work(self) -> dict[str, float]:
        """The share of what it held of each meter, from 0 to 1: in a workspace somebody thinks most of the time."""
        random = Random(f"{self.name} {self.wished_at}")  # noqa: S311  # to be repeatable, not secret
        least, most = (0.03, 0.4) if self.kind == "workspace" else (0.45, 0.97)
        return {meter: random.uniform(least, most) for meter in ("cpu", "gpu")}


@dataclass(frozen=True, slots=True)
class Kept:
    """What somebody's home took for a while, in GiB; without a `username`, the folder of the team."""

    team: str
    username: str
    gib: Decimal
    started_at: datetime
    ended_at: datetime


def kept(until: datetime) -> list[Kept]:
    """In the DAYS before `until`; another size each week."""
    homes = [one for person in PEOPLE for one in _growing(person.team, person.username, 2, 18, until)]
    return homes + [one for team in TEAMS for one in _growing(team, "", 40, 160, until)]


def _growing(team: str, username: str, least: float, most: float, until: datetime) -> Iterator[Kept]:
    random = Random(f"{team} {username} {until.date()}")  # noqa: S311  # to be repeatable, not secret
    gib = random.uniform(least, most)
    weeks = [until - timedelta(weeks=n) for n in range(DAYS // 7, -1, -1)]
    for begins, ends in pairwise(weeks):
        yield Kept(team, username, Decimal(f"{gib:.2f}"), begins, ends)
        gib *= random.uniform(0.95, 1.15)


def quarter(until: datetime) -> list[Run]:
    """What began and ended in the DAYS before `until`, in the order of the wishes."""
    random = Random(until.date().isoformat())  # noqa: S311  # to be repeatable, not secret
    first = until - timedelta(days=DAYS)
    wishes = [run for n in range(DAYS) for run in _day(random, first + timedelta(days=n), n / DAYS)]
    wishes.sort(key=lambda run: run.wished_at)
    return [run for run in _placed(wishes) if run.ended_at < until]


def _day(random: Random, morning: datetime, gone: float) -> Iterator[Run]:
    """More as the quarter goes on, most in team Vision before its deadline, little at weekends."""
    weekend = morning.weekday() >= 5
    for person in PEOPLE:
        deadline = person.team == "vision" and 0.62 < gone < 0.74
        busy = person.busy * (0.7 + 0.4 * gone) * (0.12 if weekend else 1) * (1.4 if deadline else 1)
        if random.random() < busy:
            yield _session(random, person, morning)
        for _ in range(sum(random.random() < busy * 0.6 for _ in range(5 if deadline else 3))):
            yield _job(random, person, morning)


def _session(random: Random, person: Person, morning: datetime) -> Run:
    begins = morning + timedelta(hours=random.uniform(7.5, 10.5))
    ends = begins + timedelta(hours=random.triangular(1, 10, 7))
    name = {"risk": "portfolio", "vision": "frames", "language": "corpus"}[person.team]
    reason = random.choice([Reason.STOPPED, Reason.IDLE, Reason.IDLE])
    size = person.size if random.random() < 0.7 else "small"
    return _run(person, "workspace", name, person.ide, size, begins, ends, reason)


def _job(random: Random, person: Person, morning: datetime) -> Run:
    begins = morning + timedelta(hours=random.triangular(8, 23, 17))
    [reason] = random.choices(list(ENDINGS), weights=list(ENDINGS.values()))
    name = f"{random.choice(JOBS[person.team])}-{random.randrange(1, 40)}"
    on_gpus = random.random() < person.gpus
    hours = min(random.lognormvariate(1.0 if on_gpus else -0.6, 0.9), 40) * (1 if reason == Reason.COMPLETED else 0.4)
    size = random.choice(["gpu-1", "gpu-1", "gpu-2"] if on_gpus else ["small", "medium", "medium", "large"])
    run = _run(person, "job", name, "python", size, begins, begins + timedelta(hours=hours), reason)
    return replace(run, losses=_losses(random)) if on_gpus and reason == Reason.COMPLETED else run


def _losses(random: Random) -> tuple[float, ...]:
    """They fall, and tremble."""
    floor, speed = random.uniform(0.08, 0.4), random.uniform(0.1, 0.4)
    return tuple(floor + 2 * (1 - speed) ** step + random.uniform(-0.02, 0.02) for step in range(STEPS))


def _run(
    person: Person, kind: str, name: str, template: str, size: str, begins: datetime, ends: datetime, reason: Reason
) -> Run:
    gpus = int(size.removeprefix("gpu-")) if size.startswith("gpu-") else 0
    began, ended = (at.replace(microsecond=0) for at in (begins, ends))
    return Run(person, kind, name, template, size, gpus, began, began + PULL, max(ended, began + PULL), reason)


def _placed(wishes: list[Run]) -> Iterator[Run]:
    """Each later by what it waits for devices: whoever comes first is served first."""
    free_at = [wishes[0].wished_at] * DEVICES if wishes else []
    heapq.heapify(free_at)
    for run in wishes:
        taken = [heapq.heappop(free_at) for _ in range(run.gpus)]
        waits = max([at - run.wished_at for at in taken] + [timedelta()])
        run = replace(run, started_at=run.started_at + waits, ended_at=run.ended_at + waits)
        for _ in taken:
            heapq.heappush(free_at, run.ended_at)
        yield run
