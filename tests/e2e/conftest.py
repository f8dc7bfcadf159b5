"""One Berth for all tests of this folder."""

from collections.abc import Iterator

import pytest

from tests import system
from tests.callers import Caller


@pytest.fixture(scope="package")
def berth() -> Iterator[system.Berth]:
    with system.running() as found:
        yield found


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
