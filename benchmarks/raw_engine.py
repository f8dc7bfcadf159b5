"""The limit: the container engine told to create and start a container, with nothing around it."""

from typing import Any

import requests

from benchmarks.engine import HOME, Engine
from benchmarks.polling import answers, until

PORT = 8888
KEPT = ("Image", "Cmd", "User", "Env", "WorkingDir", "Entrypoint")


class RawEngine:
    """Runs copies of the container `like`: same image, command and limits."""

    def __init__(self, engine: Engine, like: dict[str, Any]) -> None:
        self._engine, self._session, self._network = engine, requests.Session(), engine.make_network("raw")
        environment = dict(entry.split("=", 1) for entry in like["Config"]["Env"])
        self._headers = {"Authorization": f"token {environment['JUPYTER_TOKEN']}"}
        home = {"Type": "volume", "Source": engine.make_volume("raw-home"), "Target": HOME}
        self._config = {name: like["Config"][name] for name in KEPT} | {
            "Labels": engine.labels,
            "HostConfig": like["HostConfig"] | {"NetworkMode": self._network, "Mounts": [home]},
        }
        self._container = ""

    def launch(self) -> None:
        api: Any = self._engine.client.api
        self._container = api.create_container_from_config(self._config)["Id"]
        api.start(self._container)
        self._wait("The launch")

    def suspend(self) -> None:
        self._engine.client.api.pause(self._container)

    def resume(self) -> None:
        self._engine.client.api.unpause(self._container)
        self._wait("The resume")

    def _wait(self, what: str) -> None:
        url = f"http://{self._engine.address(self._container, self._network)}:{PORT}/api/status"
        until(lambda: answers(self._session, url, self._headers), f"{what} on the bare engine")

    def end(self) -> None:
        self._engine.remove_container(self._container)
