"""What goes wrong in a workspace or behind Berth's back is noticed, told truthfully and costs nothing more."""

import re
from collections.abc import Callable

import pytest

from tests.callers import Caller, eventually
from tests.system import Berth

pytestmark = [pytest.mark.e2e, pytest.mark.docker]


def test_a_container_that_dies_at_once_fails_with_its_cause_and_may_be_tried_again(
    berth: Berth, scientist: Caller
) -> None:
    pk = scientist.launch(DIE="7", BOOT="0.5")
    failed = scientist.wait(pk, "failed")
    assert failed["reason"]["code"] == "failed"
    assert "exit code 7" in failed["reason"]["message"]
    eventually(lambda: not berth.container(failed), "the removal of the container")
    assert [line["line"] for line in scientist.log(pk)] == ["hello", "I cannot go on"]
    page = berth.server.send("GET", "localhost", f"/workspaces/{pk}/", Cookie=berth.sign_in("scientist")).body.decode()
    [tail] = re.findall(r'<pre class="log-tail".*?>(.*?)</pre>', page, re.DOTALL)
    assert tail.split("\n") == ["hello", "I cannot go on"]
    berth.assert_invariants()
    again = scientist.act(pk, "start")
    assert again["allocation"] != failed["allocation"]
    assert scientist.wait(pk, "failed")["allocation"] == again["allocation"]


@pytest.mark.parametrize("path", ["/crash", "/oom"])
def test_a_running_workspace_that_ends_by_itself_says_why(berth: Berth, scientist: Caller, path: str) -> None:
    pk = scientist.running()
    scientist.visit(pk, path)
    failed = scientist.wait(pk, "failed")
    assert failed["reason"]["code"] == {"/crash": "failed", "/oom": "oom"}[path]
    eventually(lambda: not berth.container(failed), "the removal of the container")
    berth.assert_invariants()


def test_memory_that_runs_out_at_the_start_is_told_with_the_size(scientist: Caller) -> None:
    failed = scientist.wait(scientist.launch(HOG="1"), "failed")
    assert failed["reason"]["code"] == "oom"
    assert "size tiny" in failed["reason"]["message"]


BEHIND: dict[str, Callable[[Berth, str], object]] = {
    "rm": lambda berth, name: berth.engine.run("rm", "--force", name),
    "kill": lambda berth, name: berth.engine.run("kill", name),
}


@pytest.mark.parametrize(("how", "reason"), [("rm", "lost"), ("kill", "failed")])
def test_what_somebody_does_to_a_container_is_noticed(berth: Berth, scientist: Caller, how: str, reason: str) -> None:
    pk = scientist.running()
    BEHIND[how](berth, berth.container(scientist.workspace(pk)))
    assert scientist.wait(pk, "failed")["reason"]["code"] == reason
    berth.assert_invariants()
    scientist.act(pk, "start")
    scientist.wait(pk, "running")


def test_a_restart_behind_its_back_ends_in_one_truth(berth: Berth, scientist: Caller) -> None:
    """Whether Berth looks while the container is down is chance: it then calls it ended and clears it away."""
    pk = scientist.running()
    berth.engine.run("restart", "--time", "1", berth.container(scientist.workspace(pk)))

    def told() -> str | None:
        found = scientist.workspace(pk)
        if found["state"] == "stopped":
            assert found["reason"]["message"] == "The process ended with exit code 0."
            return None if berth.container(found) else str(found["reason"]["code"])
        steps = scientist.do("GET", f"/workspaces/{pk}/timeline/")["results"]
        again = found["state"] == "running" and "restarted outside Berth" in [step["message"] for step in steps]
        return "running" if again and scientist.visit(pk).status == 200 else None

    assert eventually(told, "one state of container and record") in ("completed", "running")
    berth.assert_invariants()


def test_an_image_that_the_registry_does_not_have_fails_the_launch_and_is_pulled_again_when_it_has(
    berth: Berth, scientist: Caller
) -> None:
    reference = berth.registry.add_image("gone", berth.tiny)
    with berth.registry.without(reference):
        berth.publish("gone", reference)
        pk = scientist.launch("gone")
        failed = scientist.wait(pk, "failed")
    assert failed["reason"]["code"] == "image_error"
    assert "gone" in failed["reason"]["message"]
    assert not berth.container(failed)
    berth.assert_invariants()
    scientist.act(pk, "start")
    scientist.wait(pk, "running")


def test_an_image_that_vanished_from_the_engine_is_fetched_again(berth: Berth, scientist: Caller) -> None:
    reference = berth.registry.add_image("again", berth.tiny)
    berth.publish("again", reference)
    eventually(lambda: berth.image("again")["state"] == "ready", "the first pull")
    berth.engine.run("rmi", "--no-prune", reference)
    pk = scientist.launch("again")
    scientist.wait(pk, "running")
    steps = [step["to"] for step in scientist.do("GET", f"/workspaces/{pk}/timeline/")["results"]]
    assert steps == ["pending", "admitted", "creating", "pulling", "creating", "starting", "running"]
