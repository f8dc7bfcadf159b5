"""Jobs in every stage of their life at the moment at which something is killed."""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.callers import DEADLINE, Caller, Unready, eventually
from tests.chaos.crew import stopped_while_creating
from tests.chaos.witness import METERS, Record, Witness, whole_second
from tests.system import Berth

GO = "until [ -e /tmp/go ]; do sleep 0.2; done"
MODEL = "the weights"
WRITE = f"printf '{MODEL}' > $BERTH_OUTPUTS/model"
LISTED = {"outputs/model": hashlib.sha256(MODEL.encode()).hexdigest()}
STUBBORN = f"trap '{GO}; exit 9' TERM; echo ready; while :; do sleep 0.2; done"
UNFINISHED = {"queued", "starting", "running", "stopping"}


def publish_template(berth: Berth) -> None:
    """`task`, whose image has a shell and nothing that it runs by itself."""
    runs_nothing = {"Entrypoint": [], "Env": ["PATH=/usr/bin:/bin", "HOME=/home/berth"]}
    image = berth.registry.add_image("task", berth.tiny, **runs_nothing)
    version = {"version": "1", "image": {"name": "task", "pull": image}}
    berth.publish("task", image, kind="job", versions=[version])
    eventually(lambda: berth.image("task")["state"] == "ready", "the pull of the image of jobs")


@dataclass(frozen=True)
class Fate:
    """What a job must have come to: its state, and of each attempt the reason and the exit code."""

    state: str
    attempts: tuple[tuple[str, int], ...]


DONE = Fate("succeeded", (("completed", 0),))
FATES = {
    "runner": DONE,
    "follower": DONE,
    "copier": DONE,
    "starter": DONE,
    "collector": DONE,
    "loser": Fate("failed", (("failed", 7),)),
    "retrier": Fate("succeeded", (("failed", 3), ("completed", 0))),
    "leaver": Fate("cancelled", (("stopped", 9),)),
}
"""The loser is the one that waits for a place."""


@dataclass
class JobCrew:
    """Each has a stage when something is killed; afterwards each must have come to its fate, once."""

    berth: Berth
    caller: Caller
    ids: dict[str, str] = field(default_factory=dict)
    witness: Witness = field(init=False)

    @contextmanager
    def in_all_stages(self) -> Iterator[None]:
        """In the block one job runs, and one each is held back, queued, waiting for its code, starting, stopping,
        between two attempts, and over but for the list of its files. They stay there until its end.
        """
        self.ids.clear()
        with self.berth.frozen("files"):
            self.submit("copier", "test $(cat train.txt) = hello", folder="src")
            self.submit("collector", WRITE)
            self.submit("runner", f"{GO}; {WRITE}")
            self.submit("follower", "true", after=[self.ids["runner"]])
            self.submit("leaver", STUBBORN, grace_seconds=60)
            eventually(lambda: "ready" in self._said("leaver"), "a trap for the signal")
            self.caller.do("POST", f"/jobs/{self.ids['leaver']}/cancel/")
            self.submit("retrier", "test $BERTH_ATTEMPT = 2 || exit 3", retries=1, retry_delay_seconds=10)
            for name, state in (("collector", "succeeded"), ("runner", "running")):
                self.wait(name, state)
            eventually(lambda: self.told("retrier")["attempts"][0]["exit_code"] == 3, "the first attempt's end")
            with stopped_while_creating(self.berth, lambda: self.submit("starter", "true")):
                self.submit("loser", "exit 7")
                self._assert_stages()
                yield
        for name in ("runner", "leaver"):
            self.let_go(name)

    def submit(self, name: str, script: str, **more: Any) -> str:
        body = {"template": "task", "size": "tiny", "name": name, "command": ["bash", "-c", script], **more}
        self.ids[name] = self.caller.do("POST", "/jobs/", body)["id"]
        return self.ids[name]

    def _assert_stages(self) -> None:
        found = self._all()
        states = {name: one["state"] for name, one in found.items()}
        waiting = dict.fromkeys(("copier", "follower", "loser", "retrier"), "queued")
        moving = {"starter": "starting", "runner": "running", "leaver": "stopping", "collector": "succeeded"}
        assert states == waiting | moving
        assert found["collector"]["artifacts_state"] == "waiting"
        assert "Copying" in found["copier"]["reason"]["message"]
        assert "Waits for runner" in found["follower"]["reason"]["message"]
        assert "Again in" in found["retrier"]["reason"]["message"]
        begun = {name: [one["counted"] for one in job["attempts"]] for name, job in found.items()}
        assert (begun["copier"], begun["follower"], begun["loser"], begun["retrier"]) == ([], [], [None], [True])

    def _all(self) -> dict[str, dict[str, Any]]:
        found = {one["id"]: one for one in self.caller.do("GET", "/jobs/?limit=100")["results"]}
        return {name: found[pk] for name, pk in self.ids.items()}

    def told(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.caller.do("GET", f"/jobs/{self.ids[name]}/")
        return found

    def wait(self, name: str, state: str, attempt: int = 1) -> None:
        """Until it is in this state, in this attempt."""

        def there() -> bool:
            found = self.told(name)
            if (found["state"], found["attempt"]) != (state, attempt):
                raise Unready(found["state"], found["reason"], found["attempts"])
            return True

        eventually(there, f"{state} of {name}")

    def container(self, name: str) -> str:
        return max(self.berth.engine.names(f"berth.owner={self.ids[name]}"), default="")

    def _said(self, name: str) -> list[str]:
        return [line["line"] for line in self.caller.do("GET", f"/jobs/{self.ids[name]}/logs/")["results"]]

    def let_go(self, name: str) -> None:
        """Nobody waits for the process: the container may end, and it with it, as soon as the file is there."""
        self.berth.engine.run("exec", "--detach", self.container(name), "touch", "/tmp/go")

    def assert_repeated(self, name: str, because: str) -> None:
        """It runs in a second attempt, for which it pays no retry, and comes to its end."""
        self.wait(name, "running", attempt=2)
        self.let_go(name)
        self.wait(name, "succeeded", attempt=2)
        attempts = self.told(name)["attempts"]
        assert [(one["reason"]["code"], one["counted"]) for one in attempts] == [(because, False), ("completed", True)]
        assert attempts[0]["ended_at"] <= attempts[1]["started_at"]
        record = Record(self.berth, [self.ids[name]])
        for one in record.attempts:
            assert [meter for meter, *_ in record.intervals[one.allocation]] == list(METERS)
            spans = {(began, ended) for _, began, ended in record.intervals[one.allocation]}
            assert spans == {(whole_second(one.started_at), whole_second(one.ended_at))}
        self.berth.assert_invariants()

    def assert_over(self) -> None:
        """Within a minute from now all have come to their fate, once, and what was written of it is true."""
        until = time.monotonic() + DEADLINE
        found = eventually(self._ended, "the end of all jobs", DEADLINE)
        for name, fate in FATES.items():
            job, attempts = found[name], found[name]["attempts"]
            assert job["state"] == fate.state, job
            assert tuple((one["reason"]["code"], one["exit_code"]) for one in attempts) == fate.attempts, job
            assert [one["number"] for one in attempts] == list(range(1, len(fate.attempts) + 1))
            assert job["exit_code"] == fate.attempts[-1][1]
        record = Record(self.berth, list(self.ids.values()))
        self.witness.assert_agrees(record)
        written = {self.ids["collector"], self.ids["runner"]}
        assert record.artifacts == {pk: LISTED if pk in written else {} for pk in self.ids.values()}
        gone = f"berth.instance={self.berth.instance}"
        eventually(lambda: not self.berth.engine.names(gone), "the end of all containers", until - time.monotonic())
        self.berth.assert_invariants(until - time.monotonic())
        assert self._all() == found

    def _ended(self) -> dict[str, dict[str, Any]]:
        found = self._all()
        going = {name: (one["state"], one["reason"], one["artifacts_state"]) for name, one in found.items()}
        if left := {name: told for name, told in going.items() if told[0] in UNFINISHED or told[2] == "waiting"}:
            raise Unready(left)
        assert {told[2] for told in going.values()} == {"complete"}, going
        return found
