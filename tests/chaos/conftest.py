"""A Berth to hurt, and those who stand in it when it is hurt."""

from collections.abc import Iterator

import pytest

from tests import system
from tests.callers import Caller
from tests.chaos.crew import Crew
from tests.system import Berth


@pytest.fixture(scope="package")
def berth() -> Iterator[Berth]:
    with system.running() as found:
        yield found


@pytest.fixture(scope="module")
def crew(berth: Berth) -> Iterator[Crew]:
    found = Crew(berth, berth.api("scientist"))
    yield found
    found.caller.delete_all()


@pytest.fixture
def outsider(berth: Berth) -> Iterator[Caller]:
    found = berth.api("outsider")
    yield found
    found.delete_all()
