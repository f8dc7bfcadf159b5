"""A repository of a private git server in the home of a workspace and as the code of a job, or why it is not."""

import json
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from runtimes.base import FILES
from tests import system
from tests.callers import Caller, eventually
from tests.engine import Engine
from tests.git_server import GitServer, serving
from tests.system import Berth

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

NETWORKS = "10.222.0.0/16"
STARTING = 120
LIST = "import os; print(os.listdir('/home/berth'))"
READ = "print(open('/home/berth/study/file').read())"


@pytest.fixture(scope="module")
def address() -> str:
    """Of this machine on the engine's own bridge: the isolation closes it like any other."""
    said = Engine().run("network", "inspect", "bridge", "--format", "{{json (index .IPAM.Config 0)}}")
    bridge = json.loads(said)
    return str(bridge.get("Gateway") or ip_network(bridge["Subnet"])[1])  # an unused one may not tell it


@pytest.fixture(scope="module")
def server(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    with serving(address, Path(tmp_path_factory.mktemp("git"))) as found:
        yield found


@pytest.fixture(scope="module")
def berth(address: str) -> Iterator[Berth]:
    """It alone opens that address, on a range of its own: where several share one, the rules of each count."""
    with system.running(BERTH_REACHABLE_NETWORKS=f"{address}/32", BERTH_CONTAINER_NETWORKS=NETWORKS) as found:
        yield found


@pytest.fixture
def trusted(scientist: Caller, server: GitServer) -> Iterator[dict[str, Any]]:
    """What it takes to trust the server: a secret that holds its certificate."""
    secret = scientist.do("POST", "/secrets/", {"name": "GIT_CA", "value": server.certificate})["id"]
    yield {"secrets": ["GIT_CA"], "env": {"GIT_SSL_CAINFO": f"{FILES}/secrets/GIT_CA"}}
    scientist.send("DELETE", f"/secrets/{secret}/")


@pytest.fixture
def launch(berth: Berth, scientist: Caller, trusted: dict[str, Any]) -> Any:
    """A JupyterLab with code."""

    def launched(url: str, ref: str) -> dict[str, Any]:
        body = {"template": "jupyter-python", "size": "small", "git": {"url": url, "ref": ref}} | trusted
        made = scientist.do("POST", "/workspaces/", body)
        assert made["git"] == body["git"]
        return scientist.wait(made["id"], "running", seconds=STARTING)

    return launched


def told(caller: Caller, pk: str) -> str:
    """How the clone ended, as the log says."""

    def end() -> str:
        lines = [line["line"] for line in caller.log(pk)]
        return next((line for line in lines if " is in ~/" in line or " was not cloned: " in line), "")

    return eventually(end, "the end of the clone")


def test_a_ref_that_does_not_exist_is_told_and_the_ide_runs_all_the_same(
    berth: Berth, scientist: Caller, server: GitServer, launch: Any
) -> None:
    url = server.add("draft", first="one")
    pk = launch(url, "nowhere")["id"]
    said = told(scientist, pk)
    assert said.startswith(f"git: {url} was not cloned: ")
    assert "nowhere" in said
    assert scientist.visit(pk, "/lab").status == 200
    assert "draft" not in berth.inside(scientist.workspace(pk), LIST)
    page = berth.server.send("GET", "localhost", f"/workspaces/{pk}/", None, Cookie=berth.sign_in("scientist"))
    assert f"{url} was not cloned: ".encode() in page.body


def test_the_code_is_in_the_home_at_the_ref_that_was_asked_for(
    berth: Berth, scientist: Caller, server: GitServer, launch: Any
) -> None:
    url = server.add("study", first="one", second="two")
    running = launch(url, "first")
    assert told(scientist, running["id"]) == f"git: {url} is in ~/study, at first"
    assert berth.inside(running, READ).strip() == "one"
    assert scientist.visit(running["id"], "/lab").status == 200


def ran(caller: Caller, **body: Any) -> dict[str, Any]:
    """A job of these fields, when it is over and its log is whole."""
    pk = caller.do("POST", "/jobs/", {"template": "python", "size": "small"} | body)["id"]

    def over() -> dict[str, Any] | None:
        found: dict[str, Any] = caller.do("GET", f"/jobs/{pk}/")
        told: dict[str, Any] = caller.do("GET", f"/jobs/{pk}/logs/")
        whole = found["ended_at"] and told["state"] != "open"
        return found | {"log": [line["line"] for line in told["results"]]} if whole else None

    return eventually(over, "the end of the job", STARTING)


def test_a_job_runs_the_commit_that_it_records(scientist: Caller, server: GitServer, trusted: dict[str, Any]) -> None:
    url = server.add("churn", first="one", second="two")
    found = ran(scientist, command=["cat", "file"], git={"url": url, "ref": "first"}, **trusted)
    assert found["state"] == "succeeded", found
    assert "one" in found["log"]
    assert found["record"]["git_commit"] == server.commit("churn", "first")


def test_a_job_of_a_ref_that_does_not_exist_fails_and_names_it(
    scientist: Caller, server: GitServer, trusted: dict[str, Any]
) -> None:
    url = server.add("sketch", first="one")
    found = ran(scientist, command=["cat", "file"], git={"url": url, "ref": "nowhere"}, **trusted)
    assert (found["state"], found["exit_code"], found["record"]["git_commit"]) == ("failed", 66, "")
    assert found["reason"]["message"] == f"Its code could not be fetched from {url} at nowhere; its log says why."
    assert "git: there is no branch, tag or commit nowhere in it" in found["log"]


def test_a_stopped_workspace_runs_as_a_job(berth: Berth, scientist: Caller) -> None:
    workspace = scientist.wait(scientist.launch("jupyter-python", "small"), "running", seconds=STARTING)
    berth.inside(workspace, "import os; os.mkdir('kept'); open('kept/file', 'w').write('as it was')")
    scientist.act(workspace["id"], "stop")
    scientist.wait(workspace["id"], "stopped")
    found = ran(scientist, template=None, workspace=workspace["id"], folder="kept", command=["cat", "file"])
    assert (found["state"], found["log"]) == ("succeeded", ["as it was"])
    again = scientist.do("POST", f"/jobs/{found['id']}/rerun/")
    assert again["record"] == found["record"] | {"rerun_of": found["id"]}
