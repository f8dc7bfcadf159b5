"""Two simulated devices and many who want one, on a real engine."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests import system
from tests.callers import Caller, Unready, eventually
from tests.system import Berth

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

WHO = ("scientist", "lead", "outsider")
"""Each may hold one unasked, and there are two."""
LAUNCHES = 51
AT_ONCE = 10
ENDS = 6
TOLD = "import os; print(os.environ['NVIDIA_VISIBLE_DEVICES'])"
DEVICES = {"simulated-a100-0", "simulated-a100-1"}
Found = dict[str, dict[str, Any]]


def test_of_fifty_launches_at_once_two_hold_the_devices_and_each_end_starts_the_next(berth: Berth) -> None:
    callers = {user: berth.api(user) for user in WHO}
    with ThreadPoolExecutor(AT_ONCE) as clients:
        turns = [callers[WHO[n % len(WHO)]] for n in range(LAUNCHES)]
        made = list(clients.map(lambda caller: caller.launch(size="tiny-gpu"), turns))
    assert len(set(made)) == LAUNCHES
    found = _two_run(callers)
    waiting = [one for one in found.values() if one["state"] == "queued"]
    assert sorted(one["queue"]["position"] for one in waiting) == list(range(1, LAUNCHES - 1))
    holders = {one["owner"] for one in found.values() if one["state"] == "running"}
    for one in waiting:
        reason = "Its owner uses 1 of 1 × A100" if one["owner"] in holders else "0 × A100"
        assert reason in one["reason"]["message"], one
        assert "Needs 1 × A100" in one["reason"]["message"]
    for _ in range(ENDS):
        running = sorted(pk for pk, one in found.items() if one["state"] == "running")
        assert {berth.inside(found[pk], TOLD).strip() for pk in running} == DEVICES
        berth.assert_invariants()
        callers[found[running[0]]["owner"]].act(running[0], "stop")
        found = _two_run(callers, ended=running[0])
    for user in system.USERS:
        berth.api(user).delete_all()
    eventually(lambda: _free(berth) == len(DEVICES), "all devices free")


def _two_run(callers: dict[str, Caller], ended: str = "") -> Found:
    """All of everybody, as soon as two run and the others wait or have ended."""

    def two() -> Found:
        found = {one["id"]: one for caller in callers.values() for one in caller.mine()}
        states = [one["state"] for one in found.values()]
        if states.count("running") != len(DEVICES) or set(states) - {"running", "queued", "stopped"}:
            raise Unready(states)
        assert not ended or found[ended]["state"] == "stopped"
        return found

    return eventually(two, "two that run")


def _free(berth: Berth) -> int:
    [node] = berth.api("admin").do("GET", "/nodes/")["results"]
    return [gpu["state"] for gpu in node["gpus"]].count("free")
