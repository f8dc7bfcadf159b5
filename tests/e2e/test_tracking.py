"""A real MLflow that is the team's, and real jobs of a member that log to it with MLflow's own client."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.callers import Caller, eventually
from tests.system import FIRST_BUILDS, Berth

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

LONGEST = 300
LOG = """
import os, pathlib, mlflow
pathlib.Path("note.txt").write_text("from a job")
with mlflow.start_run():
    mlflow.log_metric("loss", 0.25, step=3)
    mlflow.log_artifact("note.txt")
print("token", os.environ["MLFLOW_TRACKING_TOKEN"])
pathlib.Path(os.environ["BERTH_OUTPUTS"], "token").write_text(os.environ["MLFLOW_TRACKING_TOKEN"])
"""
ASK = """
import os, sys, time, urllib.error, urllib.request
def status(token):
    request = urllib.request.Request(sys.argv[1] + "/health", headers={"Authorization": "Bearer " + token})
    try:
        return urllib.request.urlopen(request, timeout=20).status
    except urllib.error.HTTPError as error:
        return error.code
if status(sys.argv[2]) == 200:
    time.sleep(6)  # the gateway remembers a yes for five seconds
print("own", status(os.environ.get("MLFLOW_TRACKING_TOKEN", "none")), "other", status(sys.argv[2]))
"""


@pytest.fixture(scope="module")
def berth(either_berth: Berth) -> Berth:
    return either_berth


@pytest.fixture
def lead(berth: Berth) -> Iterator[Caller]:
    found = berth.api("lead")
    yield found
    found.delete_all()


def ended(caller: Caller, template: str, *command: str) -> dict[str, Any]:
    """A job, once it is over."""
    made = caller.do("POST", "/jobs/", {"template": template, "command": list(command)})
    path, over = f"/jobs/{made['id']}/", ("succeeded", "failed")
    found: dict[str, Any] = eventually(
        lambda: job if (job := caller.do("GET", path))["state"] in over else None, "the end of a job", LONGEST
    )
    return found


def said(caller: Caller, job: dict[str, Any]) -> str:
    return "\n".join(line["line"] for line in caller.do("GET", f"/jobs/{job['id']}/logs/")["results"])


def says(caller: Caller, job: dict[str, Any], text: str) -> bool:
    """At latest when its log is collected."""
    return eventually(lambda: text in said(caller, job), f"“{text}” in the log")


def runs_at(berth: Berth, caller: Caller, pk: str) -> list[dict[str, Any]]:
    """What the server shows its owner."""
    body = {"experiment_ids": ["0"]}
    host, path = berth.server.place(pk, "/api/2.0/mlflow/runs/search")
    reply = berth.server.send("POST", host, path, body, **caller.authorization)
    assert reply.status == 200, reply
    found: list[dict[str, Any]] = json.loads(reply.body).get("runs", [])
    return found


def test_jobs_of_the_team_log_to_it_and_nobody_else_does(
    berth: Berth, lead: Caller, scientist: Caller, outsider: Caller
) -> None:
    eventually(lambda: berth.image("webapps")["state"] == "ready", "the image of MLflow", FIRST_BUILDS)
    pk = lead.launch("mlflow", "small")
    lead.wait(pk, "running", seconds=LONGEST)
    lead.do("PUT", f"/workspaces/{pk}/serve-team/")

    job = ended(scientist, "mlflow", "python", "-c", LOG)
    assert (job["state"], job["attempts"][0]["tracking"]) == ("succeeded", pk), said(scientist, job)
    (run,) = runs_at(berth, lead, pk)
    assert [(one["key"], one["value"], one["step"]) for one in run["data"]["metrics"]] == [("loss", 0.25, 3)]
    tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
    assert (tags["berth_job"], tags["mlflow.user"]) == (job["id"], "scientist")
    note = lead.visit(pk, f"/get-artifact?path=note.txt&run_id={run['info']['run_id']}")
    assert (note.status, note.body) == (200, b"from a job")

    content = eventually(lambda: _artifact(scientist, job, "outputs/token"), "the token among its artifacts", LONGEST)
    token = content.decode()
    assert token.startswith("berth_job_")
    assert says(scientist, job, "token ••••••")
    assert token not in said(scientist, job)
    address = f"http://berth.internal:{berth.configuration.settings['BERTH_SERVICES_PORT']}/w/{pk.lower()}"
    second = ended(scientist, "python", "python", "-c", ASK, address, token)
    assert says(scientist, second, "own 200 other 401")
    theirs = ended(outsider, "python", "python", "-c", ASK, address, token)
    assert says(outsider, theirs, "own 401 other 401")
    assert theirs["attempts"][0]["tracking"] is None

    lead.act(pk, "stop")
    lead.wait(pk, "stopped")
    late = ended(scientist, "python", "python", "-c", "import os; print('at', os.environ.get('MLFLOW_TRACKING_URI'))")
    assert says(scientist, late, "at None")
    assert late["attempts"][0]["tracking_note"].endswith("was stopped when it began.")
    berth.assert_invariants()


def _artifact(caller: Caller, job: dict[str, Any], path: str) -> bytes:
    reply = caller.send("GET", f"/jobs/{job['id']}/artifacts/{path}")
    return reply.body if reply.status == 200 else b""
