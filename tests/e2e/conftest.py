"""One Berth for all tests of this folder, and one that has its workspaces below paths for those that ask for both."""

from collections.abc import Iterator

import pytest

from tests import system
from tests.callers import Caller


@pytest.fixture(scope="package")
def berth_by_origin() -> Iterator[system.Berth]:
    with system.running() as found:
        yield found


@pytest.fixture(scope="package")
def berth_by_path() -> Iterator[system.Berth]:
    with system.running(by_path=True) as found:
        yield found


@pytest.fixture(scope="package")
def berth(berth_by_origin: system.Berth) -> system.Berth:
    return berth_by_origin


@pytest.fixture(scope="module", params=["origin", "path"])
def either_berth(request: pytest.FixtureRequest) -> system.Berth:
    found: system.Berth = request.getfixturevalue(f"berth_by_{request.param}")
    return found


@pytest.fixture
def scientist(berth: system.Berth) -> Iterator[Caller]:
    """A caller whose workspaces are gone after the test."""
    found = berth.api("scientist")
    yield found
    found.delete_all()


@pytest.fixture
def outsider(berth: system.Berth) -> Iterator[Caller]:
    """Somebody of another team."""
    found = berth.api("outsider")
    yield found
    found.delete_all()
