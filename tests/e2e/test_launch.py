"""From a request to a running workspace and back, through the API and the gateway."""

import pytest

from tests.callers import Caller, eventually
from tests.system import Berth

pytestmark = [pytest.mark.e2e, pytest.mark.docker]


def test_a_launch_becomes_reachable_and_a_stop_ends_it(berth: Berth, scientist: Caller) -> None:
    pk = scientist.running()
    assert scientist.visit(pk).json == {"version": "tiny"}
    steps = [step["to"] for step in scientist.do("GET", f"/workspaces/{pk}/timeline/")["results"]]
    assert steps == ["pending", "admitted", "creating", "starting", "running"]
    scientist.act(pk, "stop")
    ended = scientist.wait(pk, "stopped")
    assert ended["reason"]["code"] == "stopped"
    eventually(lambda: not berth.container(ended), "the removal of the container")
    assert scientist.visit(pk).status == 503
    berth.assert_invariants()
