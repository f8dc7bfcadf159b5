"""A week of three teams on a fake clock, placed by Berth's own admission into tables of its own.

Nothing runs: what is placed holds its core for as long as its job takes, and ends.
"""

import heapq
import random
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

CORES = 6
SHARES = {"amber": 1, "birch": 2, "cedar": 3}
PEOPLE = 2
"""In each team."""
STEP = 0.5
"""Hours; everything begins and ends on a multiple of it."""


@dataclass(frozen=True, slots=True)
class Job:
    """Of one core; `arrives` and `takes` are hours."""

    number: int
    team: str
    person: str
    arrives: float
    takes: float


@dataclass(frozen=True, slots=True)
class Moment:
    """Core-hours that each team, and each person, has had by then, faded; and how many jobs of each team wait."""

    hour: float
    had: dict[str, float]
    by_person: dict[str, float]
    waiting: Counter[str]

    @property
    def contended(self) -> bool:
        return all(self.waiting[team] for team in SHARES)

    @property
    def parts(self) -> dict[str, float]:
        """Of what all have had, the part of each team."""
        return {team: self.had[team] / (sum(self.had.values()) or 1) for team in SHARES}


@dataclass(slots=True)
class Course:
    """`begun` is the hour at which each job got its place."""

    begun: dict[Job, float] = field(default_factory=dict)
    moments: list[Moment] = field(default_factory=list)

    def contended(self) -> list[Moment]:
        """While all teams waited for room, from the first such moment to the last."""
        together = [n for n, moment in enumerate(self.moments) if moment.contended]
        return self.moments[together[0] : together[-1] + 1]


def week(seed: int = 1) -> list[Job]:
    """Amber sends 250 at once while it is alone; birch 50 every twelve hours; cedar two each half hour, five of six by
    the same person.
    """
    chance = random.Random(seed)
    arrivals = [("amber", 0.0)] * 250
    arrivals += [("birch", 12.0 * (1 + n // 50)) for n in range(350)]
    arrivals += [("cedar", 12 + STEP * (n // 2)) for n in range(400)]
    odds = {"amber": (1, 1), "birch": (1, 1), "cedar": (5, 1)}
    return [
        Job(n, team, chance.choices(_people(team), odds[team])[0], at, STEP * chance.randint(1, 3))
        for n, (team, at) in enumerate(arrivals)
    ]


def course(jobs: Sequence[Job]) -> Course:
    """Place them all, in a database whose tables are there and in which nothing else waits."""
    from portal.compute import admission, owners
    from portal.lib import clock

    owners.register("simulated", Quiet())  # type: ignore[arg-type]
    place, done, hour = _Place(), Course(), 0.0
    coming = sorted(jobs, key=lambda job: (-job.arrives, -job.number))
    ends: list[tuple[float, str]] = []
    while coming or ends or place.waiting:
        with clock.shifted(timedelta(hours=hour)):
            while ends and ends[0][0] <= hour:
                place.end(heapq.heappop(ends)[1])
            while coming and coming[-1].arrives <= hour:
                place.queue(coming.pop())
            for pk in admission.admit():
                job = place.begin(pk)
                done.begun[job] = hour
                heapq.heappush(ends, (hour + job.takes, pk))
            done.moments.append(place.moment(hour))
        hour += STEP
    return done


def _people(team: str) -> list[str]:
    return [f"{team}-{n}" for n in range(1, PEOPLE + 1)]


class Quiet:
    """Owns what nobody has a name for, and only listens."""

    preemptible = False

    def subjects(self, owner_ids: Collection[str]) -> dict[str, Any]:
        return {}

    def moved(self, allocation: Any, transition: Any) -> None:
        pass


class _Place:
    """One node, the teams and their people, and what waits by the id of its allocation."""

    def __init__(self) -> None:
        from portal.accounts.models import Team, User
        from portal.compute.models import GIB, Node, Size

        room: dict[str, Any] = {"cpu": CORES, "schedulable_cpu": CORES}
        room |= {"memory": CORES * GIB, "schedulable_memory": CORES * GIB}
        Node.objects.update_or_create(name="simulated", defaults={"runtime": "fake"} | room)
        size, _ = Size.objects.get_or_create(slug="one-core", defaults={"cpu": 1, "memory_gib": 1})
        self._teams = {slug: Team.objects.create(slug=slug, name=slug, share=n) for slug, n in SHARES.items()}
        names = [name for team in SHARES for name in _people(team)]
        self._people = {name: User.objects.create(username=name, subject=name) for name in names}
        self._shape: dict[str, Any] = {"size": size, "cpu": 1, "memory": GIB, "spec": {}, "owner_kind": "simulated"}
        self.waiting: dict[str, Job] = {}

    def queue(self, job: Job) -> None:
        from portal.compute.models import Allocation

        whose = {"team": self._teams[job.team], "user": self._people[job.person], "owner_id": str(job.number)}
        self.waiting[Allocation.objects.create(**self._shape, **whose).pk] = job

    def begin(self, pk: str) -> Job:
        from portal.compute.models import Allocation
        from portal.compute.states import Phase
        from portal.lib import clock

        Allocation.objects.filter(pk=pk).update(phase=Phase.RUNNING, started_at=clock.now())
        return self.waiting.pop(pk)

    def end(self, pk: str) -> None:
        from portal.compute.models import Allocation
        from portal.compute.states import Phase
        from portal.compute.transitions import move

        assert move(Allocation.objects.get(pk=pk), Phase.ENDED, actor="simulation", fenced=False)

    def moment(self, hour: float) -> Moment:
        from portal.compute import shares

        teams = {team.pk: slug for slug, team in self._teams.items()}
        people = {person.pk: name for name, person in self._people.items()}
        had, by_person = dict.fromkeys(teams.values(), 0.0), dict.fromkeys(people.values(), 0.0)
        for (team, person), hours in shares.had().items():
            had[teams[team]] += hours
            by_person[people[person]] += hours
        return Moment(hour, had, by_person, Counter(job.team for job in self.waiting.values()))
