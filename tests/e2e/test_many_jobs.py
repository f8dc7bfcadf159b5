"""Many jobs at once: each of those that wait in line runs once, and those that are cancelled there never begin."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.callers import Caller, eventually
from tests.chaos.job_crew import publish_template
from tests.system import Berth

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

EACH = 15
CANCELLED = 20
PATIENCE = 300


@pytest.fixture
def open_node(berth: Berth) -> Iterator[Callable[[], None]]:
    """The node takes nothing until this is called."""
    admin = berth.api("admin")
    [node] = admin.do("GET", "/nodes/")["results"]
    admin.do("POST", f"/nodes/{node['id']}/cordon/", {"because": "a line shall form"})

    def opened() -> None:
        admin.do("POST", f"/nodes/{node['id']}/uncordon/")

    yield opened
    opened()


def submit(caller: Caller, text: str) -> str:
    body = {"template": "task", "size": "tiny", "command": ["echo", text]}
    return str(caller.do("POST", "/jobs/", body)["id"])


def job(caller: Caller, pk: str) -> dict[str, Any]:
    found: dict[str, Any] = caller.do("GET", f"/jobs/{pk}/")
    return found


def assert_ran_once(caller: Caller, pk: str, text: str) -> None:
    eventually(lambda: job(caller, pk)["state"] == "succeeded", f"the end of {pk}", PATIENCE)
    assert [(one["number"], one["exit_code"]) for one in job(caller, pk)["attempts"]] == [(1, 0)]
    eventually(lambda: caller.do("GET", f"/jobs/{pk}/logs/")["state"] == "complete", "the end of its log")
    assert [line["line"] for line in caller.do("GET", f"/jobs/{pk}/logs/")["results"]] == [text]


def test_each_of_thirty_in_line_runs_once_and_twenty_cancelled_there_do_not(
    berth: Berth, open_node: Callable[[], None]
) -> None:
    publish_template(berth)
    lead, outsider = berth.api("lead"), berth.api("outsider")
    texts = [(caller, f"line {number}") for caller in (lead, outsider) for number in range(EACH)]
    wanted = [(caller, submit(caller, text), text) for caller, text in texts]
    unwanted = [submit(lead, "never") for _ in range(CANCELLED)]
    assert {job(lead, pk)["state"] for pk in unwanted} == {"queued"}
    assert sorted(lead.do("POST", "/jobs/cancel/", {"jobs": unwanted})["cancelled"]) == sorted(unwanted)
    open_node()
    for caller, pk, text in wanted:
        assert_ran_once(caller, pk, text)
    for pk in unwanted:
        found = job(lead, pk)
        assert (found["state"], found["started_at"]) == ("cancelled", None)
    owners = [f"berth.owner={pk}" for _, pk, _ in wanted]
    eventually(lambda: not any(map(berth.engine.names, owners)), "the end of the last container")
    berth.assert_invariants()
