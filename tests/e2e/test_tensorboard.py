"""A job that writes event files, and the real TensorBoard that shows them."""

import json

import pytest

from tests.callers import Caller, eventually
from tests.system import FIRST_BUILDS, Berth

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

LONGEST = 300
WRITE = """
import os
from tensorboard.summary import Writer
writer = Writer(os.environ["BERTH_OUTPUTS"] + "/run")
for step in range(3):
    writer.add_scalar("loss", 1 / (step + 1), step)
writer.close()
"""


def test_the_curves_of_a_job(berth: Berth, scientist: Caller) -> None:
    eventually(lambda: berth.image("webapps")["state"] == "ready", "the image of TensorBoard", FIRST_BUILDS)
    made = scientist.do("POST", "/jobs/", {"template": "tensorboard", "command": ["python", "-c", WRITE]})
    path = f"/jobs/{made['id']}/"
    eventually(lambda: scientist.do("GET", path)["state"] == "succeeded", "the end of the job", LONGEST)
    key = f"job-{made['id'].lower()}"
    asked = {"template": "tensorboard", "volumes": [key], "parameters": {"folder": f"/data/{key}"}}
    pk = scientist.do("POST", "/workspaces/", asked)["id"]
    scientist.wait(pk, "running", seconds=LONGEST)

    def curve() -> list[list[float]]:
        reply = scientist.visit(pk, "/data/plugin/scalars/scalars?run=outputs%2Frun&tag=loss")
        return json.loads(reply.body) if reply.status == 200 else []

    values = [point[2] for point in eventually(curve, "the curve", LONGEST)]
    assert values == pytest.approx([1, 1 / 2, 1 / 3])
    container = berth.container(scientist.workspace(pk))
    written = berth.engine.run("exec", container, "sh", "-c", f"touch /data/{key}/x 2>&1 || true")
    assert "Read-only file system" in written
    berth.assert_invariants()
