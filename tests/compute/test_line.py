"""The order of the line: teams by what they had for their share, people within them, and what is urgent first."""

import math
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from portal.accounts.models import Membership, Role, Team, User
from portal.compute import admission, line, shares
from portal.compute.actions import reserve
from portal.compute.models import Allocation, Node, PastUse, Size
from portal.compute.states import HEAD_START, Phase, Rank
from portal.compute.transitions import move
from portal.lib import clock, ids
from tests.conftest import People

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
NEVER_ALIKE = (2, 3, 5, 7, 11, 13, 17, 19, 23)
"""No sums of multiples of their roots are equal, so that nothing depends on the last digit."""
Ask = Callable[..., str]


@pytest.fixture
def ask(people: People, catalog: None) -> Ask:
    """Stand in line for somebody, with nothing behind it; the id."""

    def made(user: Any, rank: Rank = Rank.NORMAL, size: str = "small") -> str:
        return reserve(
            owner_kind="workspace",
            owner_id=ids.new_id(),
            user=user,
            team=user.memberships.get().team,
            size=Size.objects.get(slug=size),
            spec={},
            actor="test",
            rank=rank,
        ).pk

    return made


def order() -> list[str]:
    return line.first(line.waiting(), 1000)


def ran(pk: str, hours: float, ago: float = 0) -> None:
    """It held its place for so long, up to so many hours ago."""
    ended = clock.now() - ago * HOUR
    began = ended - hours * HOUR
    node = Node.objects.get()
    Allocation.objects.filter(pk=pk).update(phase=Phase.RUNNING, created_at=began, started_at=began, node=node)
    assert move(Allocation.objects.get(pk=pk), Phase.ENDED, actor="test", fenced=False, ended_at=ended)


def test_a_burst_stands_between_what_another_team_sends(people: People, ask: Ask) -> None:
    burst = [ask(people.vera) for _ in range(4)]
    late = [ask(people.oda) for _ in range(2)]
    assert order() == [burst[0], late[0], burst[1], late[1], *burst[2:]]


def test_a_team_with_twice_the_share_gets_twice_as_much(people: People, ask: Ask) -> None:
    Team.objects.filter(slug="vision").update(share=2)
    vision, risk = [ask(people.vera) for _ in range(6)], [ask(people.oda) for _ in range(6)]
    assert order()[:7] == [vision[0], risk[0], vision[1], vision[2], risk[1], vision[3], vision[4]]


def test_what_a_team_had_counts_and_half_of_it_a_week_later(people: People, ask: Ask, standing_still: None) -> None:
    ran(ask(people.vera), hours=10)
    [had] = shares.had().values()
    weight = 1 + 2 / 4  # one core and 2 GiB
    lives = 10 / (7 * 24)
    assert had == pytest.approx(weight * 7 * 24 / math.log(2) * (1 - 2**-lives), rel=1e-6)
    assert had == pytest.approx(10 * weight, rel=0.03)
    first, other = ask(people.vera), ask(people.oda)
    assert order() == [other, first]
    with clock.shifted(shares.HALF_LIFE):
        [later] = shares.had().values()
    assert later == pytest.approx(had / 2, rel=1e-6)


def test_what_holds_a_place_counts_for_an_hour_at_once(people: People, ask: Ask) -> None:
    running = ask(people.vera)
    admission.admit()
    assert list(shares.had().values()) == pytest.approx([1.5])
    assert Allocation.objects.get(pk=running).phase == Phase.ADMITTED
    first, other = ask(people.vera), ask(people.oda)
    assert order() == [other, first]


def test_a_gpu_counts_as_many_cores(people: People, ask: Ask) -> None:
    gpus: dict[str, Any] = {"gpu_class": "a100", "gpu_count": 2}
    for user, gpu in ((people.vera, {}), (people.oda, gpus)):
        Allocation.objects.filter(pk=ask(user)).update(node=Node.objects.get(), phase=Phase.ADMITTED, **gpu)
    assert sorted(shares.had().values()) == pytest.approx([1.5, 41.5])


def test_it_does_not_matter_in_which_order_things_end(people: People, ask: Ask) -> None:
    spans = [(3.0, 40.0), (8.0, 1.0), (0.5, 200.0)]
    whole = {}
    for name, some in {"forth": spans, "back": spans[::-1]}.items():
        PastUse.objects.all().delete()
        for hours, ago in some:
            ran(ask(people.vera), hours, ago)
        whole[name] = sum(shares.had().values())
    assert whole["forth"] == pytest.approx(whole["back"], rel=1e-6)


def test_what_never_ran_costs_no_share(people: People, ask: Ask) -> None:
    waiting = Allocation.objects.get(pk=ask(people.vera))
    assert move(waiting, Phase.ENDED, actor="test", fenced=False)
    assert shares.had() == {}


def test_within_a_team_the_person_goes_first_who_had_least(people: People, bo: User, ask: Ask) -> None:
    burst = [ask(people.vera) for _ in range(3)]
    late = ask(bo)
    assert order() == [burst[0], late, *burst[1:]]
    ran(ask(people.vera), hours=2)
    assert order() == [late, *burst]


def test_what_somebody_sits_before_goes_first_also_of_a_team_that_had_more(people: People, ask: Ask) -> None:
    ran(ask(people.vera), hours=20)
    batch, screen = ask(people.oda), ask(people.vera, Rank.INTERACTIVE)
    assert order() == [screen, batch]


def test_where_it_need_not_it_stands_among_the_jobs_of_its_team(people: People, ask: Ask, settings: Any) -> None:
    settings.INTERACTIVE_FIRST = False
    ran(ask(people.vera), hours=20)
    batch, own, screen = ask(people.oda), ask(people.vera), ask(people.vera, Rank.INTERACTIVE)
    assert order() == [batch, screen, own]


def test_what_has_waited_a_week_goes_first(people: People, ask: Ask) -> None:
    ran(ask(people.vera), hours=20)
    old = ask(people.vera)
    with clock.shifted(line.LONGEST):
        new, screen = ask(people.oda), ask(people.oda, Rank.INTERACTIVE)
        assert order() == [screen, old, new]  # risk has had nothing
        ran(ask(people.oda), hours=100)
        assert order() == [old, screen, new]


def test_who_would_come_knows_who_would_stand_before_them(people: People, bo: User, ask: Ask) -> None:
    waiting = [ask(people.vera) for _ in range(3)]

    def before(user: Any, rank: Rank = Rank.NORMAL) -> list[str]:
        its = {"user": user, "team": user.memberships.get().team}
        return line.before(Allocation(**its, line_at=clock.now() - HEAD_START[rank]), line.waiting(), 200)

    assert before(people.vera) == waiting
    assert before(bo) == waiting[:1]
    assert before(people.oda) == waiting[:1]
    assert before(bo, Rank.INTERACTIVE) == []
    assert order() == waiting


def test_a_share_is_positive(people: People) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Team.objects.update(share=0)


class AnyLine(TestCase):
    """Whatever waits and whatever was had, the order is the one that placing them one by one would give."""

    def setUp(self) -> None:
        self.size = Size.objects.create(slug="any", cpu=1, memory_gib=4)
        self.teams = [Team.objects.create(slug=f"team-{n}", name=f"Team {n}") for n in range(3)]
        self.people = [User.objects.create(username=f"p{n}", subject=f"p{n}") for n in range(3)]
        for team in self.teams:
            for person in self.people:
                Membership.objects.create(team=team, user=person, role=Role.MEMBER)

    @settings(max_examples=60)
    @given(
        st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.sampled_from(list(Rank)), st.integers(0, 30))),
        st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(1, 20)), max_size=6),
        st.tuples(*[st.integers(1, 4)] * 3),
    )
    def test_it_is_served_as_if_one_by_one(
        self, wishes: list[tuple[int, int, Rank, int]], had: list[tuple[int, int, int]], sizes: tuple[int, ...]
    ) -> None:
        now = clock.now()
        for team, share in zip(self.teams, sizes, strict=True):
            Team.objects.filter(pk=team.pk).update(share=share)
        for t, p, hours in had:
            whose: dict[str, Any] = {"team": self.teams[t], "user": self.people[p]}
            amount = hours * NEVER_ALIKE[3 * t + p] ** 0.5
            PastUse.objects.update_or_create(**whose, defaults={"amount": amount, "at": now})
        for t, p, rank, waited in wishes:
            self._wait(self.teams[t], self.people[p], rank, now - waited * HOUR)
        assert order() == list(one_by_one(shares.had()))

    def _wait(self, team: Team, user: User, rank: Rank, came: datetime) -> None:
        row = {"owner_kind": "any", "owner_id": ids.new_id(), "team": team, "user": user, "size": self.size}
        Allocation.objects.create(**row, cpu=1, memory=2**32, spec={}, created_at=came, line_at=came - HEAD_START[rank])


def one_by_one(had: dict[tuple[str, str], float]) -> Iterator[str]:
    """The same rules, told the long way: the next one is chosen, and counted as had for an hour."""
    rows = list(line.waiting().select_related("team"))

    def urgent(row: Allocation) -> bool:
        return row.created_at - row.line_at >= HEAD_START[Rank.INTERACTIVE]

    def team_had(row: Allocation) -> float:
        return sum(hours for (team, _), hours in had.items() if team == row.team_id) / row.team.share

    while rows:
        firsts = [row for row in rows if urgent(row)] or rows
        least = min(map(team_had, firsts))
        teams = {row.team_id for row in firsts if team_had(row) == pytest.approx(least)}
        heads = [_head([row for row in firsts if row.team_id == team], had) for team in teams]
        chosen = min(heads, key=lambda row: (row.line_at, row.pk))
        rows.remove(chosen)
        had[chosen.team_id, chosen.user_id] = had.get((chosen.team_id, chosen.user_id), 0) + 2
        yield chosen.pk


def _head(rows: list[Allocation], had: dict[tuple[str, str], float]) -> Allocation:
    """Of one team: what came first of the person who had least."""
    least = min(had.get((row.team_id, row.user_id), 0) for row in rows)
    theirs = [row for row in rows if had.get((row.team_id, row.user_id), 0) == pytest.approx(least)]
    return min(theirs, key=lambda row: (row.line_at, row.pk))
