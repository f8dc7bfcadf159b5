"""Many requests of one person at the same moment, each in a transaction of its own."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from environments import actions
from environments.launch import Launch
from environments.models import Workspace
from portal.compute import admission, devices
from portal.compute.models import GpuHold, Node
from portal.invariants import violations
from portal.quotas.models import GpuClass
from tests.conftest import People

pytestmark = pytest.mark.django_db(transaction=True)
AT_ONCE = 8


@pytest.fixture
def in_threads() -> Iterator[Callable[..., list[Any]]]:
    def run(work: Callable[[int], Any], number: int) -> list[Any]:
        def once(n: int) -> Any:
            try:
                return work(n)
            finally:
                connection.close()

        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(once, range(number)))

    yield run


def test_fifty_launches_for_two_devices(people: People, catalog: None, in_threads: Callable[..., list[Any]]) -> None:
    GpuClass.objects.update(each_person=None, each_team=None)
    devices.note(Node.objects.get(), devices.declared({"a100": 2}))
    wish = Launch(template="jupyter-python", size="gpu-1")

    def launch(n: int) -> str:
        made: str = actions.create(people.vera, wish, actor="vera").pk
        admission.admit()
        return made

    made = in_threads(launch, 50)
    assert Workspace.objects.filter(pk__in=made).values("name").distinct().count() == 50
    assert GpuHold.objects.filter(until=None).values("device").distinct().count() == 2
    assert GpuHold.objects.count() == 2
    assert violations() == []


def test_one_name_goes_to_one(people: People, catalog: None, in_threads: Callable[..., list[Any]]) -> None:
    def launch(n: int) -> bool:
        try:
            actions.create(people.vera, Launch(template="jupyter-python", name="churn"), actor="vera")
        except Exception as error:
            assert type(error).__name__ == "Invalid", error
            return False
        return True

    assert sorted(in_threads(launch, 10)) == [False] * 9 + [True]
