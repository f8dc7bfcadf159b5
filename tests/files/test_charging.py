"""What homes, folders of teams and datasets take is metered as it is measured, and charged to who keeps them."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from environments import volumes as keeping
from environments.files import measuring
from environments.models import Dataset, Volume
from portal.accounts.actions import add_member, create_team
from portal.accounts.models import Role
from portal.compute import owners
from portal.lib import clock
from portal.usage.actions import publish_prices
from portal.usage.models import UsageInterval
from runtimes.base import RuntimeFailure
from tests.files.looking import BLOCK, blocks_count_as_gib, look  # noqa: F401  # a fixture

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("standing_still", "blocks_count_as_gib")]
At = Callable[..., Path]


def fill(folder: Path, blocks: int, name: str = "x") -> None:
    (folder / name).write_bytes(b"x" * BLOCK * blocks)


def told() -> list[Any]:
    """Of what is open: whom it is charged to, and how much it is."""
    rows = UsageInterval.objects.filter(ended_at=None).order_by("team", "user")
    return [(row.team, row.user, row.quantity) for row in rows]


def test_each_is_charged_to_who_keeps_it(people: Any, at: At, numbers: Dataset) -> None:
    for key, blocks in (("home", 3), ("team-vision", 4), ("data-numbers", 5)):
        fill(at(people.vera if key != "data-numbers" else people.ada, key), blocks)
    fill(at(people.ada), 7)
    look()
    assert told() == [("", "ada", 7), ("risk", "", 5), ("vision", "", 4), ("vision", "vera", 3)]
    names = {subject.name for subject in owners.subjects(UsageInterval.objects.all()).values()}
    assert names == {"Home of Ada Admin", "Dataset numbers", "Folder of Vision", "Home of Vera Rosén"}


def test_its_page_says_what_a_month_of_each_costs_where_it_costs_anything(people: Any, at: At, signed_in: Any) -> None:
    fill(at(people.vera), 10)
    look()
    client = signed_in(people.vera)
    assert "a month" not in client.get("/files/").content.decode()
    publish_prices({"storage": Decimal("0.002")}, "EUR", actor="ada")
    assert client.get("/files/").content.decode().count("a month") == 1
    assert "€ 14.60 a month" in client.get("/files/").content.decode()


def test_a_home_is_charged_to_the_first_team_of_its_person_that_they_are_still_in(people: Any, at: At) -> None:
    fill(at(people.vera), 3)
    look()
    add_member(create_team("alpha", "Alpha", actor="test"), people.vera, Role.MEMBER, actor="test")
    look(hours=1)
    assert told() == [("vision", "vera", 3)]
    people.vera.memberships.get(team__slug="vision").delete()
    look(hours=2)
    assert told() == [("alpha", "vera", 3)]
    assert UsageInterval.objects.filter(ended_at__isnull=False, team="vision").count() == 1


def test_another_size_is_another_interval_and_the_same_size_is_not(people: Any, at: At) -> None:
    home = at(people.vera)
    fill(home, 3)
    look()
    look(hours=1)
    assert UsageInterval.objects.count() == 1
    fill(home, 2, "y")
    look(hours=2)
    assert told() == [("vision", "vera", 5)]
    assert UsageInterval.objects.count() == 2


def test_it_ends_with_the_wish_to_delete_it_also_while_the_engine_is_away(
    people: Any, at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(at(people.vera), 3)
    look()
    wish = clock.now() + timedelta(minutes=10)
    Volume.objects.update(delete_requested_at=wish)

    def away() -> None:
        raise RuntimeFailure("away")

    monkeypatch.setattr(keeping, "runtime", away)
    with clock.shifted(timedelta(hours=1)):
        keeping.delete(Volume.objects.get().pk)
    assert Volume.objects.get().deleted_at is None
    assert UsageInterval.objects.get().ended_at == wish.replace(microsecond=0) + timedelta(
        seconds=wish.microsecond >= 500_000
    )


def test_a_look_that_comes_back_after_that_begins_nothing(people: Any, at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(at(people.vera), 3)
    measured = measuring._found

    def late(pk: str, size: int) -> None:
        Volume.objects.update(delete_requested_at=clock.now())
        measured(pk, size)

    monkeypatch.setattr(measuring, "_found", late)
    look()
    assert (Volume.objects.get().used, UsageInterval.objects.count()) == (None, 0)
