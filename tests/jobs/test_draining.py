"""A long line of jobs: it drains in order, with all places taken, and nothing is left behind."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from jobs import cancelling
from jobs.models import Job
from jobs.states import UNFINISHED, J
from portal.compute.models import Allocation, Node, Transition
from portal.compute.states import PLACED, Phase
from portal.invariants import violations
from runtimes.fake_engine import FakeEngine
from tests.conftest import People

pytestmark = pytest.mark.django_db
Submit = Callable[..., Job]
AT_ONCE = 10
WAITING = 40


def end_all(engine: FakeEngine) -> int:
    """Every program that runs succeeds now; how many did."""
    running = [name for name, container in engine.containers.items() if container.finished_at is None]
    for name in running:
        engine.end(name, 0)
    return len(running)


def test_the_line_drains_in_order_with_all_places_taken(
    people: People, submit: Submit, settle: Callable[..., None], fake_engine: FakeEngine
) -> None:
    Node.objects.update(schedulable_cpu=Decimal(AT_ONCE))
    jobs = [submit(people.luis, priority=("low", "normal", "high")[n % 3]) for n in range(WAITING)]
    expected = sorted(jobs, key=lambda job: (-("low", "normal", "high").index(job.priority), job.pk))
    for _ in range(WAITING // AT_ONCE):
        settle(3)
        assert Allocation.objects.filter(phase__in=PLACED).count() == AT_ONCE
        assert end_all(fake_engine) == AT_ONCE
    settle(3)
    assert set(Job.objects.values_list("state", flat=True)) == {J.SUCCEEDED}
    placed = Transition.objects.filter(to_phase=Phase.ADMITTED).values_list("allocation__owner_id", flat=True)
    assert list(placed) == [job.pk for job in expected]
    assert violations(fake_engine.driver) == []  # type: ignore[attr-defined]


def test_all_are_cancelled_wherever_they_are(
    people: People, submit: Submit, settle: Callable[..., None], fake_engine: Any
) -> None:
    Node.objects.update(schedulable_cpu=Decimal(AT_ONCE))
    jobs = [submit() for _ in range(3 * AT_ONCE)]
    settle(3)
    done = cancelling.named(people.vera, [job.pk for job in jobs], actor="vera")
    assert (len(done.cancelled), done.refused) == (len(jobs), [])
    settle(3)
    assert not Job.objects.filter(state__in=UNFINISHED).exists()
    assert set(Job.objects.values_list("state", flat=True)) == {J.CANCELLED}
    assert violations(fake_engine.driver) == []
