"""A Berth to hurt, and workspaces in every stage of a life at the moment at which it is hurt."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests import system
from tests.callers import Caller, eventually
from tests.system import Berth


@dataclass
class Crew:
    """Each has a stage when something is killed; afterwards each must be where it was going."""

    berth: Berth
    caller: Caller
    veteran: str = ""
    leaver: str = ""
    starter: str = ""
    newcomer: str = ""
    _allocation: str = field(default="", repr=False)

    def take_places(self) -> None:
        """One runs, one is stopping, one is starting, and one has only just been asked for."""
        self.veteran = self.veteran or self.caller.running()
        self.leaver = self.starter or self.caller.running(STUBBORN="2")
        self._allocation = self.caller.workspace(self.veteran)["allocation"]
        self.starter = self.caller.launch(BOOT="3", STUBBORN="2")
        self.caller.wait(self.starter, "starting")
        self.caller.act(self.leaver, "stop")
        self.newcomer = self.caller.launch()

    def assert_arrived(self) -> None:
        """All of them, with one container each, and the one that ran was left alone."""
        for pk in (self.starter, self.newcomer):
            self.caller.wait(pk, "running")
        assert self.caller.wait(self.leaver, "stopped")["reason"]["code"] == "stopped"
        veteran = self.caller.wait(self.veteran, "running")
        assert veteran["allocation"] == self._allocation
        assert self.berth.container(veteran).endswith("-g1")
        eventually(lambda: self.caller.visit(self.veteran).status == 200, "an answer through the gateway")
        self.berth.assert_invariants()
        for pk in (self.leaver, self.newcomer):
            self.caller.do("DELETE", f"/workspaces/{pk}/")


@pytest.fixture(scope="module")
def berth() -> Iterator[Berth]:
    with system.running() as found:
        yield found


@pytest.fixture(scope="module")
def crew(berth: Berth) -> Crew:
    return Crew(berth, berth.api("scientist"))


@pytest.fixture
def outsider(berth: Berth) -> Iterator[Caller]:
    found = berth.api("outsider")
    yield found
    found.delete_all()
