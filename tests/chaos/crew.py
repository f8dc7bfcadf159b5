"""Workspaces in every stage of a launch at the moment at which something is killed."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.callers import DEADLINE, Caller, eventually
from tests.system import Berth

LONG = "60"


@contextmanager
def stopped_while_creating(berth: Berth, begin: Callable[[], str]) -> Iterator[str]:
    """Workers are halted after the engine has made a container for what `begin` began, and before they wrote so."""
    with berth.engine.events(f"berth.instance={berth.instance}", "create") as created:
        owner = begin()
        next(one for one in created if one["berth.owner"] == owner)
        with berth.frozen("worker"):
            yield owner


@dataclass
class Crew:
    """Each has a stage when something is killed; afterwards each must be where it was going."""

    berth: Berth
    caller: Caller
    veteran: str = ""
    leaver: str = ""
    starter: str = ""
    puller: str = ""
    created: str = ""
    newcomer: str = ""
    _before: dict[str, Any] = field(default_factory=dict, repr=False)
    _image: str = field(default="", repr=False)

    @property
    def _up(self) -> tuple[str, ...]:
        """Those who shall run in the end."""
        return (self.veteran, self.starter, self.puller, self.created, self.newcomer)

    @contextmanager
    def in_all_stages(self) -> Iterator[None]:
        """In the block one runs, and one each is stopping, starting, being created, pulling and waiting to be placed.

        They stay there until its end: nobody who could move them on is able to.
        """
        self.veteran = self.veteran or self.caller.running()
        self._before = self.caller.workspace(self.veteran)
        self.leaver = self.starter or self.caller.running(STUBBORN=LONG)
        self._begin_to_pull()
        self._begin_to_start()
        self.caller.act(self.leaver, "stop")
        self.caller.wait(self.leaver, "stopping")
        with stopped_while_creating(self.berth, self.caller.launch) as self.created:
            self.newcomer = self.caller.launch()
            assert self._stages() == {
                self.veteran: "running",
                self.leaver: "stopping",
                self.starter: "starting",
                self.puller: "pulling",
                self.created: "creating",
                self.newcomer: "queued",
            }
            yield
        self.berth.registry.let_go()
        for pk in (self.starter, self.leaver):
            self._hurry(pk)

    def _begin_to_pull(self) -> None:
        """Of an image that the engine had, and has no more."""
        if not self._image:
            self._image = self.berth.registry.add_image("slow", self.berth.tiny)
            self.berth.publish("slow", self._image)
            eventually(lambda: self.berth.image("slow")["state"] == "ready", "the first pull")
        self.berth.engine.run("rmi", "--no-prune", self._image)
        self.berth.registry.hold()
        self.puller = self.caller.launch("slow")
        self.caller.wait(self.puller, "pulling")
        eventually(lambda: self.berth.image("slow")["state"] == "building", "the begin of the pull")

    def _begin_to_start(self) -> None:
        self.starter = self.caller.launch(BOOT=LONG, STUBBORN=LONG)
        self.caller.wait(self.starter, "starting")
        eventually(lambda: "hello" in self.berth.engine.run("logs", self._container(self.starter)), "its first words")

    def _stages(self) -> dict[str, str]:
        found = {one["id"]: one["stage"] or one["state"] for one in self.caller.mine()}
        return {pk: found[pk] for pk in (*self._up, self.leaver)}

    def _hurry(self, pk: str) -> None:
        self.berth.engine.run("kill", "--signal", "USR1", self._container(pk))

    def _container(self, pk: str) -> str:
        [found] = self.berth.engine.names(f"berth.owner={pk}")
        return found

    def assert_arrived(self) -> None:
        """Within a minute from now all of them, with one container each, and the one that ran was left alone."""
        until = time.monotonic() + DEADLINE
        found = self.caller.wait_for_all(dict.fromkeys(self._up, "running") | {self.leaver: "stopped"})
        assert found[self.leaver]["reason"]["code"] == "stopped"
        kept = ("allocation", "started_at")
        assert [found[self.veteran][name] for name in kept] == [self._before[name] for name in kept]
        wanted = sorted(f"berth-{self.berth.instance}-{found[pk]['allocation']}-g1" for pk in self._up)
        eventually(lambda: self._containers() == wanted, "one container each", until - time.monotonic())
        eventually(lambda: self._doors() == {200}, "answers through the gateway", until - time.monotonic())
        self.berth.assert_invariants(until - time.monotonic())
        self._send_home()

    def _containers(self) -> list[str]:
        return sorted(self.berth.engine.names(f"berth.instance={self.berth.instance}"))

    def _doors(self) -> set[int]:
        return {self.caller.visit(pk).status for pk in (self.veteran, self.starter, self.created)}

    def _send_home(self) -> None:
        """All but the one that runs, and the one that will be asked to stop the next time."""
        for pk in (self.leaver, self.puller, self.created, self.newcomer):
            self.caller.do("DELETE", f"/workspaces/{pk}/")
        left = f"berth.owner={self.puller}"
        eventually(lambda: not self.berth.engine.names(left), "the end of the container of an image to remove")
