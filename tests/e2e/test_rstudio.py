"""The template of RStudio, as it is, before a stand-in: its real image needs a way to Docker Hub."""

from typing import Any

import pytest
import yaml

from deploy.python_environment import ROOT
from environments import contexts
from tests.callers import Caller, Reply, cookies
from tests.e2e.test_idle import COMPUTE, RULE, begin, idle_end, launched, runs_because
from tests.system import Berth

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

STAND_IN = ROOT / "tests/e2e/images/rstudio"


@pytest.fixture(scope="module")
def berth(either_berth: Berth) -> Berth:
    publish_stand_in(either_berth)
    return either_berth


def publish_stand_in(berth: Berth) -> None:
    """The template `rstudio` under other names, with all that Berth sends as it is, and the stand-in's image: with
    its own idle rule, and with a short one.
    """
    tag, saved = f"berth-test:{berth.instance}", berth.data / "rstudio.tar"
    base = f"BASE={contexts.reference_of('base')}"
    berth.engine.run("build", "--quiet", "--tag", tag, "--build-arg", base, str(STAND_IN))
    berth.engine.run("save", "--output", str(saved), tag)
    berth.engine.run("rmi", tag)
    template = yaml.safe_load((ROOT / "catalog/templates/rstudio.yaml").read_text())
    del template["slug"]
    [version] = template["versions"]
    version["image"] = {"name": "stand-in", "pull": berth.registry.add_saved("stand-in", saved)}
    saved.unlink()
    berth.publish("stand-in", "", **template)
    berth.publish("short-stand-in", "", **template | {"idle": RULE})


@pytest.fixture
def workspace(scientist: Caller) -> str:
    pk = scientist.launch("stand-in", "small")
    scientist.wait(pk, "running")
    return pk


def follow(caller: Caller, pk: str, reply: Reply, **headers: str) -> Reply:
    """Where it sends a browser, which must be a place below this workspace."""
    host, below = caller.server.place(pk)
    where = reply.headers["Location"]
    assert (reply.status, where.startswith(below)) == (302, True), where
    return caller.server.send("GET", host, where, **caller.authorization, **headers)


def test_it_signs_in_by_itself_and_stays_below_its_own_address(berth: Berth, scientist: Caller, workspace: str) -> None:
    below = berth.server.place(workspace)[1]
    entry = follow(scientist, workspace, scientist.visit(workspace, "/"))
    assert f"path={below};" in entry.headers["Set-Cookie"]
    home = follow(scientist, workspace, entry, Cookie=cookies(entry)).json
    assert home["title"] == "RStudio"
    sent: dict[str, Any] = {name.lower(): value for name, value in home["headers"].items()}
    assert sent.get("x-rstudio-root-path", "") == below.rstrip("/")
    assert sent["host"] == f"{berth.server.place(workspace)[0]}:{berth.server.port}"
    assert not [name for name in sent if name.startswith("x-berth")]
    assert scientist.token not in str(sent)


def test_its_polls_for_events_pass(berth: Berth, scientist: Caller, workspace: str) -> None:
    host, path = berth.server.place(workspace, "/events/get_events")
    assert scientist.server.send("POST", host, path, {}, **scientist.authorization).json == {"result": []}


def test_an_open_tab_that_polls_is_stopped_and_r_that_computes_is_not(berth: Berth, scientist: Caller) -> None:
    polled, computes = launched(scientist, "short-stand-in", "polled", "computes")
    begin(berth, scientist, computes, COMPUTE)
    host, path = berth.server.place(polled, "/events/get_events")
    message = idle_end(
        scientist, polled, lambda: scientist.server.send("POST", host, path, {}, **scientist.authorization)
    )
    assert "it was started" in message
    runs_because(scientist, computes, "cpu")


def test_the_image_leaves_its_own_program_where_the_template_starts_it() -> None:
    dockerfile = (ROOT / "images/rstudio/Dockerfile").read_text()
    command = yaml.safe_load((ROOT / "catalog/templates/rstudio.yaml").read_text())["versions"][0]["command"]
    assert "COPY rstudio /usr/local/bin/rstudio" in dockerfile
    assert command[3] == "rstudio"
