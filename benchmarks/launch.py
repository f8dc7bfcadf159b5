"""`launch`: from the click to a JupyterLab that answers, on the bare engine, in JupyterHub and in Berth."""

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import requests

from benchmarks import berth, jupyterhub, peers
from benchmarks.berth import Berth
from benchmarks.engine import Engine
from benchmarks.polling import answers, until
from benchmarks.processes import temporary_folder
from benchmarks.raw_engine import RawEngine
from benchmarks.rounds import Result, take_turns

TEMPLATE = "jupyter-python"
RAW, HUB, BERTH = "bare engine", "JupyterHub with DockerSpawner", "Berth"
SETTLE_SECONDS = 0.5
"""Between two launches: what the engine still does for the one that ended must not slow down the next."""


def measure(rounds: int) -> Result:
    peers.programs()
    engine = Engine()
    with engine.cleared_afterwards(), berth.running(settings(engine)) as own:
        own.wait_for_image(TEMPLATE)
        workspaces = Workspaces(own, engine)
        samples = _measure(workspaces, engine, rounds)
    parts = {part: values[-rounds:] for part, values in workspaces.parts.items()}
    versions = {"Docker": engine.version(), "JupyterHub": peers.JUPYTERHUB, "DockerSpawner": peers.DOCKERSPAWNER}
    return Result("launch", "Click to a JupyterLab that answers", "seconds", RAW, samples, versions, parts)


def settings(engine: Engine) -> dict[str, str]:
    return {"BERTH_RUNTIME": "docker", "BERTH_INSTANCE": engine.run}


def _measure(workspaces: "Workspaces", engine: Engine, rounds: int) -> dict[str, list[float]]:
    like = workspaces.example()
    raw = RawEngine(engine, like)
    with temporary_folder() as folder, jupyterhub.hub(engine, like, folder) as hub:
        contenders = {
            RAW: lambda: _seconds(raw.launch, raw.end),
            HUB: lambda: _seconds(hub.launch, hub.end),
            BERTH: lambda: _seconds(workspaces.launch, workspaces.end),
        }
        return take_turns(contenders, rounds)


def _seconds(launch: Callable[[], None], end: Callable[[], None]) -> float:
    began = time.perf_counter()
    launch()
    took = time.perf_counter() - began
    end()
    time.sleep(SETTLE_SECONDS)
    return took


class Workspaces:
    """Launches workspaces in Berth over its REST API, and remembers in `parts` where the time went."""

    def __init__(self, own: Berth, engine: Engine) -> None:
        self._own, self._engine, self._session = own, engine, requests.Session()
        self._workspace, self._began = "", 0.0
        self.parts: defaultdict[str, list[float]] = defaultdict(list)

    def example(self) -> dict[str, Any]:
        """The engine's description of a container that Berth made."""
        self.launch()
        described = self._engine.inspect(self._containers()[0])
        self.end()
        return described

    def launch(self) -> None:
        """Comes back when JupyterLab answers through the gateway."""
        began = time.perf_counter()
        self._workspace = self._own.ask("POST", "workspaces/", {"template": TEMPLATE})["id"]
        self._note("click to Berth's answer", began)
        # A page is told by a stream; asking the gateway all the time would slow down what is measured.
        until(lambda: bool(self._containers("running")), "The start of Berth's container")
        self._note("click to a container that runs", began)
        until(self._answers, "JupyterLab's answer through Berth's gateway")
        self._began = began

    def suspend(self) -> None:
        """Comes back when its container is frozen."""
        self._own.ask("POST", f"workspaces/{self._workspace}/suspend/")
        until(lambda: bool(self._containers("paused")), "The suspension of Berth's workspace")

    def resume(self) -> None:
        """Comes back when JupyterLab answers through the gateway again."""
        self._own.ask("POST", f"workspaces/{self._workspace}/resume/")
        until(lambda: bool(self._containers("running")), "The resume of Berth's container")
        until(self._answers, "JupyterLab's answer through Berth's gateway")

    def end(self) -> None:
        until(self._runs, "Berth saying that it runs")
        self._note("click to Berth saying that it runs", self._began)
        path = f"workspaces/{self._workspace}/"
        for step in self._own.ask("GET", f"{path}timeline/")["results"]:
            if step["seconds"] is not None:
                self.parts[f"stage {step['to']}"].append(step["seconds"])
        self._own.ask("DELETE", path)
        until(lambda: not self._containers(), "The end of Berth's workspace")

    def _answers(self) -> bool:
        headers = {"Host": self._own.host(self._workspace), "Authorization": f"Bearer {self._own.token}"}
        return answers(self._session, f"http://127.0.0.1:{self._own.port}/api/status", headers)

    def _runs(self) -> bool:
        return bool(self._own.ask("GET", f"workspaces/{self._workspace}/")["state"] == "running")

    def _note(self, part: str, began: float) -> None:
        self.parts[part].append(time.perf_counter() - began)

    def _containers(self, status: str | None = None) -> list[str]:
        return self._engine.containers(f"berth.owner={self._workspace}", status)
