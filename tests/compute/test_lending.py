"""Teams lend each other what they do not use, and get it back as it ends."""

from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from hypothesis import given
from hypothesis import strategies as st

from portal.accounts.models import User
from portal.compute import admission, devices, queue
from portal.compute.limits import Amounts, Limits, Rule, add
from portal.compute.models import Allocation, Node, Size
from portal.compute.states import Phase
from portal.lib import clock
from portal.quotas.models import GpuClass, ResourceLimit
from tests.api.conftest import Caller
from tests.conftest import People

Make = Callable[..., Any]


def lend(resource: str = "cpu", **amounts: float) -> None:
    ResourceLimit.objects.all().delete()
    ResourceLimit.objects.create(resource=resource, **amounts)


def end(*made: Any) -> None:
    rows = Allocation.objects.filter(pk__in=[one.allocation_id for one in made])
    rows.update(phase=Phase.ENDED, ended_at=clock.now())


def why(made: Any) -> str:
    row = Allocation.objects.get(pk=made.allocation_id)
    queue.explain([row])
    return row.message


def ids(made: list[Any]) -> set[str]:
    return {one.allocation_id for one in made}


@pytest.mark.django_db
def test_what_another_team_leaves_unused_is_borrowed_up_to_both_bounds(
    make_workspace: Make, people: People, catalog: None
) -> None:
    lend(each_team=2, team_lends=2, team_borrows=1)
    made = [make_workspace() for _ in range(4)]
    assert set(admission.admit()) == ids(made[:3])
    assert why(made[3]).startswith("Its team uses 3 of 2 cores (1 borrowed). Number 1")
    ResourceLimit.objects.update(team_borrows=9)
    assert admission.admit() == [made[3].allocation_id]
    fifth = make_workspace()
    assert admission.admit() == []
    assert why(fifth).startswith("Its team uses 4 of 2 cores (2 borrowed).")


@pytest.mark.django_db
def test_what_a_team_lent_comes_back_as_it_ends_and_what_it_keeps_is_always_its_own(
    make_workspace: Make, people: People, catalog: None
) -> None:
    lend(each_team=2, team_lends=1, team_borrows=2)
    borrowers = [make_workspace() for _ in range(3)]
    assert set(admission.admit()) == ids(borrowers)
    first, second = make_workspace(people.oda), make_workspace(people.oda)
    assert admission.admit() == [first.allocation_id]
    assert why(second).startswith("Its team uses 1 of 2 cores (1 lent).")
    end(borrowers[0])
    assert admission.admit() == [second.allocation_id]


@pytest.mark.django_db
def test_gpus_are_lent_beside_what_was_granted(make_workspace: Make, people: People) -> None:
    GpuClass.objects.update(each_person=None, each_team=1, team_lends=1, team_borrows=1)
    devices.note(Node.objects.get(), devices.declared({"a100": 4}))
    made = [make_workspace(size="gpu-1") for _ in range(3)]
    assert set(admission.admit()) == ids(made[:2])
    assert "uses 2 of 1 × A100 (1 borrowed); more can be asked for." in why(made[2])
    stranger = make_workspace(people.oda, size="gpu-1")
    assert admission.admit() == []
    assert "uses 0 of 1 × A100 (1 lent); more can be asked for." in why(stranger)


@pytest.mark.django_db
def test_the_form_refuses_only_what_would_never_fit_with_all_that_may_be_borrowed(
    make_workspace: Make, people: People, catalog: None
) -> None:
    lend(each_team=1, team_lends=1, team_borrows=0.5)
    sizes = list(Size.objects.filter(slug__in=["small", "medium"]))
    told = admission.availability(sizes, people.vera)["medium"]
    assert told == admission.Availability("never", "Never: team Vision may hold 1.5 cores at most")
    ResourceLimit.objects.update(team_borrows=1)
    assert admission.availability(sizes, people.vera)["medium"].state == "now"


@pytest.mark.django_db
def test_the_page_and_the_api_say_what_is_borrowed_and_lent(
    make_workspace: Make,
    people: People,
    signed_in: Callable[[User], Any],
    caller: Callable[..., Caller],
) -> None:
    lend("workspaces", each_team=1, team_lends=1, team_borrows=1)
    make_workspace()
    make_workspace()
    assert len(admission.admit()) == 2
    assert "Team Vision: 2 of 1 (1 borrowed)" in signed_in(people.vera).get("/quota/").content.decode()
    assert "Team Risk: 0 of 1 (1 lent)" in signed_in(people.oda).get("/quota/").content.decode()
    rows = caller(people.oda).get("/quotas/").json()["results"]
    lent = next(row for row in rows if row["resource"] == "workspaces" and row["scope"] == "team:risk")
    assert (lent["limit"], lent["used"], lent["borrowed"], lent["lent"]) == (1, 0, 0, 1)


@pytest.mark.django_db
def test_to_find_out_what_is_lent_takes_one_query_more(
    make_workspace: Make, people: People, catalog: None, django_assert_num_queries: Any
) -> None:
    lend(each_team=2)
    make_workspace()
    admission.admit()
    with django_assert_num_queries(2):
        Limits().of("team", "one", "cpu")
    ResourceLimit.objects.update(team_lends=1, team_borrows=1)
    with django_assert_num_queries(3):
        limits = Limits()
        for team in ("one", "another"):
            limits.of("team", team, "cpu")


@pytest.mark.django_db
@pytest.mark.parametrize("wrong", [{"team_lends": 1}, {"each_team": 1, "team_lends": -1, "team_borrows": 1}])
def test_only_of_a_limit_can_something_be_lent(wrong: dict[str, int]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        ResourceLimit.objects.create(resource="jobs", **wrong)


class Held(Limits):
    """Of three teams, without a database."""

    def __init__(self, rule: Rule) -> None:
        super().__init__()
        self.__dict__ |= {"_rules": {"cpu": rule}, "_used": Counter(), "_teams": ["a", "b", "c"]}

    def start(self, team: str, amount: Decimal) -> bool:
        wanted: Amounts = {"cpu": amount}
        if self.reached("", team, wanted):
            return False
        self.add(team, amount)
        return True

    def add(self, team: str, amount: Decimal) -> None:
        add(self._used, "", team, {"cpu": amount})
        self._pools.clear()

    def used(self, team: str) -> Decimal:
        return self.of("team", team, "cpu").used


amount = st.integers(0, 8).map(Decimal)
steps = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 4).map(Decimal), st.booleans()), max_size=40)


@given(each=amount, lends=amount, borrows=amount, steps=steps)
def test_all_together_never_hold_more_than_all_limits_and_each_always_gets_what_it_keeps(
    each: Decimal, lends: Decimal, borrows: Decimal, steps: list[tuple[str, Decimal, bool]]
) -> None:
    held = Held(Rule(None, each, lends, borrows))
    kept = max(Decimal(), each - lends)
    for team, number, ends in steps:
        before = held.used(team)
        if ends:
            held.add(team, -min(number, before))
        elif not held.start(team, number):
            assert before + number > kept
        used = {name: held.used(name) for name in "abc"}
        assert sum(used.values()) <= 3 * each
        assert max(used.values()) <= each + borrows
        assert sum(max(Decimal(), amount - each) for amount in used.values()) <= sum(
            min(lends, max(Decimal(), each - amount)) for amount in used.values()
        )


@given(each=amount, lends=amount, borrows=amount, steps=steps)
def test_a_team_alone_gets_its_limit_and_all_that_the_others_lend_up_to_what_it_may_borrow(
    each: Decimal, lends: Decimal, borrows: Decimal, steps: list[tuple[str, Decimal, bool]]
) -> None:
    held = Held(Rule(None, each, lends, borrows))
    for _, number, _ in steps:
        held.start("a", number)
    while held.start("a", Decimal(1)):
        pass
    assert held.used("a") == each + min(borrows, 2 * min(lends, each))
