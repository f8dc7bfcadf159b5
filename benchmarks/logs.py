"""`logs`: how fast the log of one container is read, by `docker logs` into a file and by Berth into its archive."""

import json
import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

from benchmarks.engine import Engine
from benchmarks.polling import until
from benchmarks.processes import temporary_folder
from benchmarks.rounds import Result, take_turns
from deploy import services
from deploy.python_environment import ROOT, VENV
from deploy.screen import Stopped
from runtimes.docker import DockerRuntime

LINES = 300_000
IMAGE = "berth-benchmark:base"
WRITES = f"for n in range({LINES}): print(f'step {{n}} loss 0.2038 val_loss 0.2964 1842 img/s, epoch 3 of 10')"
FILE, BERTH = "`docker logs -f`, through `cat` into a file", "Berth's collector"


def measure(rounds: int) -> Result:
    engine, peaks = Engine(), list[int]()
    with engine.cleared_afterwards(), temporary_folder() as folder, services.temporary() as settings:
        name = _written(engine)
        environment = {**settings, "BERTH_INSTANCE": engine.run, "BERTH_LOG_GB": "100"}
        contenders = {FILE: lambda: _into_file(name, folder), BERTH: lambda: _collected(name, environment, peaks)}
        samples = take_turns(contenders, rounds)
    versions = {"Docker": engine.version(), "peak memory of the collector": f"{max(peaks) // 1024} MiB"}
    return Result("logs", "Lines a second of one container's log", "lines/s", FILE, samples, versions)


def _written(engine: Engine) -> str:
    """A container that has written its log and ended. Nothing rotates it: all contenders read the same."""
    name, api = f"berth-{engine.run}-logs-g1", cast(Any, engine.client.api)
    config = {
        "Image": _image(),
        "Cmd": ["python3", "-c", WRITES],
        "Labels": engine.labels | {"berth.instance": engine.run},
        "HostConfig": {"NetworkMode": "none", "LogConfig": {"Type": "json-file", "Config": {"max-size": "1g"}}},
    }
    api.start(api.create_container_from_config(config, name)["Id"])
    until(lambda: engine.inspect(name)["State"]["Status"] == "exited", "The end of the writer")
    if engine.inspect(name)["State"]["ExitCode"]:
        raise Stopped(f"The writer failed: {api.logs(name, tail=3).decode()}")
    return name


def _image() -> str:
    """A small Debian with Python, made once per machine."""
    runtime = DockerRuntime("berth-benchmark")
    if runtime.find_image(IMAGE) is None:
        command = ["mmdebstrap", "--quiet", "--variant=minbase", "--include=python3-minimal", "bookworm", "-"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as debian:
            runtime.import_image(IMAGE, cast(BinaryIO, debian.stdout))
    return IMAGE


def _into_file(name: str, folder: Path) -> float:
    target = folder / "log"
    began = time.perf_counter()
    subprocess.run(f"docker logs -f {name} | cat > {target}", shell=True, check=True)
    took = time.perf_counter() - began
    with target.open("rb") as file:
        found = sum(1 for _ in file)
    return _rate(found, took)


def _collected(name: str, settings: Mapping[str, str], peaks: list[int]) -> float:
    command = [str(VENV / "bin" / "python"), "-m", "benchmarks.log_collector", name]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **settings}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Stopped(f"The collector failed: {done.stderr[-1000:]}")
    said = json.loads(done.stdout.splitlines()[-1])
    peaks.append(said["peak_kib"])
    return _rate(said["lines"], said["seconds"])


def _rate(lines: int, seconds: float) -> float:
    if lines != LINES:
        raise Stopped(f"{lines:,} lines came of {LINES:,}.")
    return lines / seconds
