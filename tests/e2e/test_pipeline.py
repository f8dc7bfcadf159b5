"""The documented script of a pipeline: it submits a job, waits, prints its log, and ends as the job ended."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from deploy.python_environment import ROOT
from tests.callers import Caller, eventually
from tests.system import Berth

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

PAGE = ROOT / "docs/how-to/run-a-job-from-a-pipeline.md"
PATIENCE = 300
"""Seconds until a pipeline that has not ended has failed."""


@pytest.fixture
def pipeline(berth: Berth, scientist: Caller, tmp_path: Path) -> "Pipeline":
    return Pipeline(berth, scientist, tmp_path)


class Pipeline:
    """A build server's folder, with the scripts as the documentation has them."""

    def __init__(self, berth: Berth, caller: Caller, folder: Path) -> None:
        for script in re.findall(r"^```bash\n(#!/.+?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL):
            (folder / script.split()[3]).write_text(script)
        self.folder = folder
        self.environment = os.environ | {"BERTH_URL": berth.url, "BERTH_TOKEN": caller.token, "BUILD_KEY": folder.name}

    def start(self, job: str) -> subprocess.Popen[str]:
        (self.folder / "job.yaml").write_text(job)
        return subprocess.Popen(
            ["bash", "run-job.sh", "job.yaml"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, job: str) -> tuple[int, str, str]:
        """Exit code, output, and what it said beside it."""
        process = self.start(job)
        try:
            output, errors = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
        return process.returncode, output, errors


def job(command: str) -> str:
    return f"name: from a pipeline\ntemplate: python\ncommand: [bash, -c, '{command}']\n"


def test_a_job_that_succeeds(pipeline: Pipeline) -> None:
    code, output, errors = pipeline.run(job("pwd; echo one; echo two"))
    assert (code, output) == (0, "/home/berth/code\none\ntwo\n"), errors
    again = pipeline.run(job("pwd; echo one; echo two"))
    assert again == (0, output, errors)  # the same build: the same job


def test_code_that_is_sent(pipeline: Pipeline) -> None:
    code = pipeline.folder / "code"
    code.mkdir()
    for said in ("first", "second"):
        (code / "train.py").write_text(f"print('{said}')\n")
        subprocess.run(
            ["bash", "send-code.sh", "code", "sent.tgz"], cwd=pipeline.folder, env=pipeline.environment, check=True
        )
        pipeline.environment |= {"BUILD_KEY": f"{pipeline.folder.name}-{said}"}
        ended, output, errors = pipeline.run(job("python train.py") + "folder: sent.tgz\n")
        assert (ended, output) == (0, f"{said}\n"), errors


def test_a_job_that_fails(pipeline: Pipeline) -> None:
    code, output, errors = pipeline.run(job("echo no such column; exit 3"))
    assert (code, output) == (3, "no such column\n"), errors
    assert errors.endswith(": failed\n")


def test_a_file_that_is_refused_says_where(pipeline: Pipeline) -> None:
    code, output, errors = pipeline.run(job("true") + "size: vast\n")
    assert (code, output) == (1, "")
    assert "Line 4: " in errors


def test_a_build_that_is_aborted_cancels_its_job(pipeline: Pipeline, scientist: Caller) -> None:
    process = pipeline.start(job("sleep 600"))
    path = eventually(lambda: _newest(scientist, "running"), "the start of the job", PATIENCE)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    eventually(lambda: scientist.do("GET", path)["state"] == "cancelled", "the end of the job")


def _newest(caller: Caller, state: str) -> str:
    """Path of the newest job, once it is in this state."""
    newest = caller.do("GET", "/jobs/?limit=1")["results"]
    return f"/jobs/{newest[0]['id']}/" if newest and newest[0]["state"] == state else ""
