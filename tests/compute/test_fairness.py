"""A week of three teams with shares 1, 2 and 3, a thousand jobs and bursts: who gets how much, who waits how long."""

from collections import Counter
from itertools import pairwise

import pytest
from django.db import transaction

from benchmarks.fairness import CORES, SHARES, Course, Job, course, week
from portal.quotas.models import ResourceLimit

WHOLE = sum(SHARES.values())


@pytest.fixture(scope="module")
def seen(django_db_setup: None, django_db_blocker: pytest.FixtureRequest) -> Course:
    with django_db_blocker.unblock(), transaction.atomic():  # type: ignore[attr-defined]
        done = course(week())
        transaction.set_rollback(True)
    return done


def test_each_job_gets_a_place_and_no_core_idles_while_one_waits(seen: Course) -> None:
    assert sorted(job.number for job in seen.begun) == list(range(1000))
    for moment in seen.contended():
        held = [job for job, begun in seen.begun.items() if begun <= moment.hour < begun + job.takes]
        assert len(held) == CORES


def test_a_team_alone_uses_all_and_the_others_catch_up_to_their_shares(seen: Course) -> None:
    alone, shared = seen.moments[20], seen.contended()[-1]
    assert alone.parts["amber"] == 1
    assert shared.hour - seen.contended()[0].hour > 100
    assert shared.parts == pytest.approx({team: share / WHOLE for team, share in SHARES.items()}, rel=0.05)


def test_two_people_of_a_team_get_alike_however_much_one_of_them_sends(seen: Course) -> None:
    """While both wait; cedar-1 sends five times as much as cedar-2, who never waits behind all of it."""
    waits = {name: max(_waits(seen, name)) for name in ("cedar-1", "cedar-2")}
    assert waits["cedar-2"] < waits["cedar-1"] / 3
    amber = seen.contended()[-1].by_person
    assert amber["amber-1"] == pytest.approx(amber["amber-2"], rel=0.05)


def test_nobody_waits_longer_than_it_takes_to_serve_what_stands_before_it(seen: Course) -> None:
    """A team that has had so much, and has so much before this job, has its turn once all others have had as much for
    their shares; while it waits, they cannot get more than the cores give.
    """
    by_hour = {moment.hour: moment.had for moment in seen.moments}
    for job, begun in seen.begun.items():
        ahead = _ahead(seen, job) + by_hour[job.arrives][job.team]
        assert begun - job.arrives <= ahead / SHARES[job.team] * WHOLE / CORES + 2, job


def test_the_order_of_one_person_is_the_order_in_which_they_sent(seen: Course) -> None:
    for team in SHARES:
        for n in (1, 2):
            own = sorted((job for job in seen.begun if job.person == f"{team}-{n}"), key=lambda job: job.number)
            assert all(seen.begun[one] <= seen.begun[other] for one, other in pairwise(own))


@pytest.mark.django_db
def test_teams_that_lend_use_what_others_leave_and_have_their_own_as_soon_as_jobs_end() -> None:
    """Two cores for each team, all of them lent. amber has all six while it is alone; birch comes, then cedar."""
    lent = {"each_team": CORES // 3, "team_lends": CORES // 3, "team_borrows": CORES}
    sent = [("amber", 0.0, 90), ("birch", 6.0, 40), ("cedar", 12.0, 10)]
    arrivals = [(team, at) for team, at, number in sent for _ in range(number)]
    jobs = [Job(n, team, f"{team}-1", at, 1 + n % 2 / 2) for n, (team, at) in enumerate(arrivals)]
    ResourceLimit.objects.create(resource="cpu", **lent)
    seen, longest = course(jobs), 1.5
    holding = {moment.hour: _holding(seen, moment.hour) for moment in seen.moments}
    assert holding[5.5] == Counter(amber=6)
    assert holding[6 + longest] == Counter(amber=2, birch=4), "what cedar leaves is for who has had least"
    assert holding[12 + longest] == Counter(amber=2, birch=2, cedar=2)
    waiting = {moment.hour: moment.waiting.total() for moment in seen.moments}
    assert all(held.total() == CORES for hour, held in holding.items() if waiting[hour]), "nothing idles"


def _holding(seen: Course, hour: float) -> Counter[str]:
    return Counter(job.team for job, begun in seen.begun.items() if begun <= hour < begun + job.takes)


def _waits(seen: Course, person: str) -> list[float]:
    return [begun - job.arrives for job, begun in seen.begun.items() if job.person == person]


def _ahead(seen: Course, job: Job) -> float:
    """Core-hours of its own team that waited when it came, and those that came with or after it and went first."""
    others = (one for one in seen.begun if one.team == job.team and seen.begun[one] <= seen.begun[job])
    return sum(one.takes for one in others if seen.begun[one] >= job.arrives)
