"""`make run`, `make test` and `make bench` start here: what the machine lacks is installed, step by step.

Runs on the system's Python, with the standard library only; `run` then goes on as deploy.up in `.venv`."""

import os
import sys
from pathlib import Path

from deploy import engine, machine, python_environment
from deploy.configuration import data_directory
from deploy.screen import Steps, Stopped, explain, say

STEPS = {"run": 6, "test": 3, "bench": 3, "check": 1}


def main(purpose: str) -> int:
    log_directory = data_directory(os.environ) / "log"
    log_directory.mkdir(parents=True, exist_ok=True)
    log = log_directory / "setup.log"
    log.write_bytes(b"")
    steps = Steps(STEPS[purpose])
    try:
        if purpose == "check":
            return _python_environment(steps, log)
        runtime = _prepare(steps, purpose, log)
    except Stopped as stopped:
        explain(stopped)
        return 1
    except KeyboardInterrupt:
        return 130
    if purpose == "run":
        python = str(python_environment.VENV / "bin/python")
        os.execve(python, [python, "-m", "deploy.up"], os.environ | {"BERTH_RUNTIME": runtime})
    return 0


def _python_environment(steps: Steps, log: Path) -> int:
    if not python_environment.up_to_date():
        with steps.step("Python environment"):
            python_environment.prepare(log)
    return 0


def _prepare(steps: Steps, purpose: str, log: Path) -> str:
    """The three steps of setting up; returns the runtime that Berth will use."""
    chosen = os.environ.get("BERTH_RUNTIME", "")
    needs = machine.to_run(chosen not in ("", "docker") or engine.ask() is not engine.Answer.NO)
    needs += machine.to_test() if purpose == "test" else machine.to_bench() if purpose == "bench" else []
    missing = [need.package for need in machine.missing(needs)]
    with steps.step("System packages"):
        if missing:
            say()
        machine.install(needs, log)
    with steps.step("Python environment"):
        python_environment.prepare(log)
    with steps.step("Container engine"):
        return chosen or _engine(purpose, log.parent, "docker.io" in missing)


def _engine(purpose: str, log_directory: Path, installed_now: bool) -> str:
    runtime = engine.choose(log_directory, installed_now=installed_now)
    if runtime == "docker":
        return runtime
    if purpose != "run":
        raise Stopped("The tests need a container engine, and none could be started.", log_directory / "dockerd.log")
    say("\n    none to be had here: workspaces will run as plain processes of this account, without isolation")
    return runtime


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
