"""Suspending a real JupyterLab: it is frozen by the engine, told at its address, and goes on with what it holds."""

import json
from datetime import datetime, timedelta

import pytest

from portal.lib import clock
from tests.callers import Caller, eventually
from tests.e2e.test_idle import idle_end, post, talk
from tests.system import Berth

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

STARTING = 240


def engine_says(berth: Berth, caller: Caller, pk: str) -> str:
    name = berth.container(caller.workspace(pk))
    return berth.engine.run("inspect", "--format", "{{.State.Status}}", name).strip()


def suspend(berth: Berth, caller: Caller, pk: str) -> None:
    assert caller.act(pk, "suspend")["state"] == "suspended"
    eventually(lambda: engine_says(berth, caller, pk) == "paused", "the frozen container")


def said(caller: Caller, pk: str, kernel: str, code: str) -> str:
    """What a kernel prints."""
    header = {"msg_id": "1", "msg_type": "execute_request", "session": "s", "username": "", "version": "5.3"}
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
    asked = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    with talk(caller, pk, f"/api/kernels/{kernel}/channels") as connection:
        connection.send(json.dumps(asked))
        while True:
            heard = json.loads(connection.recv(timeout=60))
            if heard["header"]["msg_type"] == "stream":
                return str(heard["content"]["text"]).strip()


@pytest.fixture
def lab(berth: Berth, scientist: Caller) -> str:
    pk = scientist.launch("jupyter-python", "small")
    scientist.wait(pk, "running", seconds=STARTING)
    return pk


def test_a_kernel_goes_on_with_what_it_holds(berth: Berth, scientist: Caller, lab: str) -> None:
    kernel = post(scientist, lab, "/api/kernels")["id"]
    assert said(scientist, lab, kernel, "held = 41; print(held)") == "41"
    container, cost = berth.container(scientist.workspace(lab)), scientist.workspace(lab)["cost"]["per_hour"]
    suspend(berth, scientist, lab)

    refused = scientist.visit(lab)
    assert (refused.status, b"This workspace is suspended" in refused.body) == (503, True)
    assert scientist.workspace(lab)["cost"]["per_hour"] == cost
    before = scientist.log(lab)[-1]["seq"]

    assert scientist.do("POST", f"/workspaces/{lab}/open/")["url"]
    assert scientist.visit(lab).status == 200
    assert scientist.wait(lab, "running")
    assert said(scientist, lab, kernel, "print(held + 1)") == "42"
    assert berth.container(scientist.workspace(lab)) == container
    eventually(lambda: scientist.log(lab)[-1]["seq"] > before, "the log that goes on")
    berth.assert_invariants()


def test_a_stop_a_restart_and_a_delete_reach_a_frozen_one(berth: Berth, scientist: Caller) -> None:
    stopped, restarted, deleted = pks = [scientist.running() for _ in range(3)]
    containers = [berth.container(scientist.workspace(pk)) for pk in pks]
    for pk in pks:
        suspend(berth, scientist, pk)
    scientist.act(stopped, "stop")
    scientist.act(restarted, "restart")
    scientist.do("DELETE", f"/workspaces/{deleted}/")
    assert scientist.wait(stopped, "stopped")["reason"]["code"] == "stopped"
    scientist.wait(restarted, "running")
    assert scientist.visit(restarted).status == 200
    label = f"berth.instance={berth.instance}"
    eventually(lambda: not set(containers) & set(berth.engine.names(label)), "the end of what was frozen")
    berth.assert_invariants()


def test_killed_parts_of_berth_leave_it_suspended_and_resume_it(berth: Berth, scientist: Caller) -> None:
    pk = scientist.running()
    suspend(berth, scientist, pk)
    back = [berth.kill(name) for name in ("worker", "agent")]
    for wait in back:
        wait()
    berth.assert_invariants()
    assert (scientist.workspace(pk)["state"], engine_says(berth, scientist, pk)) == ("suspended", "paused")
    back = [berth.kill("worker")]
    scientist.act(pk, "resume")
    back[0]()
    assert scientist.visit(pk).status == 200
    scientist.wait(pk, "running")


RULE = {"suspend_after_minutes": 0.1, "stop_after_minutes": 0.6, "most_minutes": 480}


def ruled(berth: Berth) -> str:
    """The stand-in with a rule that suspends after six seconds and stops half a minute later; freezing takes ten."""
    usual = json.loads((berth.data / "catalog/templates/tiny.yaml").read_text())
    berth.publish("ruled", "", idle=RULE, versions=usual["versions"])
    return "ruled"


def test_its_rule_suspends_it_and_then_stops_it(berth: Berth, scientist: Caller) -> None:
    """The same stops one that was kept until a time before that. What has no rule runs on."""
    slug = ruled(berth)
    idle, kept, unruled = scientist.launch(slug), scientist.launch(slug), scientist.launch()
    scientist.wait(kept, "running")
    until = clock.now() + timedelta(seconds=5)
    scientist.do("POST", f"/workspaces/{kept}/extend/", {"until": until.isoformat()})
    frozen = scientist.wait(idle, "suspended")
    eventually(lambda: engine_says(berth, scientist, idle) == "paused", "the frozen container")
    assert frozen["stops_at"]
    stops = eventually(lambda: scientist.workspace(kept)["stops_at"], "the stop by the rule")
    assert datetime.fromisoformat(stops) > until
    for pk in (idle, kept):
        assert "it was started" in idle_end(scientist, pk)
    assert (scientist.workspace(unruled)["state"], scientist.workspace(unruled)["stops_at"]) == ("running", None)
    berth.assert_invariants()
