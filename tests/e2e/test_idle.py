"""Idleness with real IDEs in real containers: what works is left alone, browser or not; what does not is stopped."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import yaml
from websockets.sync.client import ClientConnection, connect

from deploy.python_environment import ROOT
from portal.lib import clock
from tests.callers import Caller, Unready, eventually
from tests.system import Berth

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

FIRST_BUILD = 900
PATIENCE = 240
RULE = {"stop_after_minutes": 0.5, "most_minutes": 480}
TAKEN = ("versions", "sizes", "default_size", "ide")
COMPUTE = "while True: pass"
FOR_EVER = "import time; time.sleep(1_000_000)"
STREAM = "import time\nwhile True:\n    print('x', flush=True)\n    time.sleep(1)"


def short(berth: Berth, template: str) -> str:
    """The template as the catalog has it, stopped after half a minute without use; its image is ready."""
    usual = yaml.safe_load((ROOT / "catalog" / "templates" / f"{template}.yaml").read_text())
    slug = f"short-{template}"
    berth.publish(slug, "", idle=RULE, **{name: usual[name] for name in TAKEN if name in usual})
    image = usual["versions"][0]["image"]["name"]
    eventually(lambda: berth.image(image)["state"] == "ready", f"the image {image}", FIRST_BUILD)
    return slug


def launched(caller: Caller, slug: str, *names: str) -> list[str]:
    """One for each of the names, which say what becomes of it."""
    pks = [caller.launch(slug, "small") for _ in names]
    for pk in pks:
        caller.wait(pk, "running", seconds=PATIENCE)
    return pks


@contextmanager
def talk(caller: Caller, pk: str, path: str) -> Iterator[ClientConnection]:
    host = f"{pk.lower()}.localhost:{caller.server.port}"
    wire = socket.create_connection((caller.server.address, caller.server.port))
    with connect(f"ws://{host}{path}", sock=wire, additional_headers=caller.authorization) as connection:
        yield connection


def post(caller: Caller, pk: str, path: str) -> Any:
    reply = caller.server.send("POST", f"{pk.lower()}.localhost", path, {}, **caller.authorization)
    assert reply.status < 300, reply
    return reply.json


def compute(caller: Caller, pk: str, code: str) -> None:
    """Run it in a new kernel, and leave as soon as the kernel is busy with it."""
    kernel = post(caller, pk, "/api/kernels")["id"]
    header = {"msg_id": "1", "msg_type": "execute_request", "session": "s", "username": "", "version": "5.3"}
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
    asked = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    with talk(caller, pk, f"/api/kernels/{kernel}/channels") as connection:
        connection.send(json.dumps(asked))
        while True:
            said = json.loads(connection.recv(timeout=60))
            if said["header"]["msg_type"] == "execute_input":
                return


def type_in_terminal(berth: Berth, caller: Caller, pk: str, line: str) -> None:
    """Leave as soon as the command runs; without a line, at the prompt."""
    name = post(caller, pk, "/api/terminals")["name"]
    container = berth.container(caller.workspace(pk))
    with talk(caller, pk, f"/terminals/websocket/{name}") as connection:
        connection.send(json.dumps(["stdin", f"{line}\r"]))
        program = line.split()[0] if line else "bash"
        eventually(lambda: program in berth.engine.run("top", container), f"{program} in a terminal")


def begin(berth: Berth, caller: Caller, pk: str, code: str) -> None:
    """Python without a terminal, as an extension or R itself would compute."""
    container = berth.container(caller.workspace(pk))
    berth.engine.run("exec", "--detach", "--user", "1000", container, "python3", "-c", code)


def idle_end(caller: Caller, pk: str, meanwhile: Callable[[], object] = lambda: None) -> str:
    """What its ending says, for which its rule must be the reason; until then `meanwhile` goes on."""

    def ended() -> dict[str, Any]:
        meanwhile()
        found = caller.workspace(pk)
        if found["state"] != "stopped":
            raise Unready(found["state"], found["counted"], found["stops_at"])
        return found

    reason = eventually(ended, f"the idle stop of {pk}", PATIENCE)["reason"]
    assert reason["code"] == "idle"
    assert "What counted last: " in reason["message"]
    return str(reason["message"])


def runs_because(caller: Caller, pk: str, what: str) -> None:
    def runs() -> bool:
        found = caller.workspace(pk)
        if (found["state"], (found["counted"] or {}).get("what")) != ("running", what):
            raise Unready(found["state"], found["reason"], found["counted"])
        return True

    eventually(runs, f"{what} as what counts of {pk}", 15)


def test_kernels_and_terminals_of_jupyterlab(berth: Berth, scientist: Caller) -> None:
    """A busy kernel, one that streams output and a quiet job in a terminal go on with nobody there; a prompt and a
    kernel that waits do not.
    """
    names = ("busy", "streams", "job", "waits")
    busy, streams, job, waits = pks = launched(scientist, short(berth, "jupyter-python"), *names)
    compute(scientist, busy, FOR_EVER)
    compute(scientist, streams, STREAM)
    type_in_terminal(berth, scientist, job, "sleep 1000000")
    compute(scientist, waits, "1 + 1")
    type_in_terminal(berth, scientist, waits, "")

    idle_end(scientist, waits)
    for pk, what in zip(pks, ("kernel", "kernel", "terminal"), strict=False):
        runs_because(scientist, pk, what)

    berth.engine.run("exec", berth.container(scientist.workspace(job)), "pkill", "sleep")
    idle_end(scientist, job)
    for pk in (busy, streams):
        runs_because(scientist, pk, "kernel")
    berth.assert_invariants()


def test_what_is_kept_just_started_or_silent(berth: Berth, scientist: Caller) -> None:
    """JupyterLab that nobody opened stops after the whole time; one that is kept does not, nor one that is silent."""
    kept, silent, unopened = launched(scientist, short(berth, "jupyter-python"), "kept", "silent", "unopened")
    until = (clock.now() + timedelta(hours=1)).isoformat()
    scientist.do("POST", f"/workspaces/{kept}/extend/", {"until": until})
    container = berth.container(scientist.workspace(silent))
    berth.engine.run("exec", container, "pkill", "-STOP", "-f", "jupyter")
    assert "it was started" in idle_end(scientist, unopened)
    runs_because(scientist, kept, "started")
    assert scientist.workspace(silent)["state"] == "running"
    berth.engine.run("exec", container, "pkill", "-CONT", "-f", "jupyter")
    idle_end(scientist, silent)


def test_computing_without_a_terminal_in_vs_code(berth: Berth, scientist: Caller) -> None:
    """An extension that computes uses CPU; one of which nobody opened a window has nothing that counts."""
    computes, unopened = launched(scientist, short(berth, "vscode"), "computes", "unopened")
    begin(berth, scientist, computes, COMPUTE)
    assert "it was started" in idle_end(scientist, unopened)
    runs_because(scientist, computes, "cpu")
    berth.engine.run("exec", berth.container(scientist.workspace(computes)), "pkill", "-f", COMPUTE)
    idle_end(scientist, computes)


def test_a_web_application_is_used_when_it_is_visited(berth: Berth, scientist: Caller) -> None:
    """By somebody who looks at it every few seconds; ten times a second would count as computing."""
    visited, alone = launched(scientist, short(berth, "streamlit"), "visited", "alone")

    def visit() -> None:
        assert scientist.visit(visited, "/").status == 200
        time.sleep(3)

    assert "it was started" in idle_end(scientist, alone, visit)
    runs_because(scientist, visited, "traffic")
    idle_end(scientist, visited)
