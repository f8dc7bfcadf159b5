"""JupyterHub with DockerSpawner, as its documentation sets it up on one machine, for one user."""

import hashlib
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import requests

from benchmarks import peers
from benchmarks.engine import HOME, Engine
from benchmarks.polling import answers, until
from benchmarks.processes import free_ports, running
from deploy.screen import Stopped, say

USER = "scientist"
NAME = "berth-benchmark-{run}-hub"
# The image of Berth's own workspace plus what JupyterHub needs inside, installed as the image installs the rest.
DOCKERFILE = """
FROM {image}
USER root
RUN python3 -m venv /tmp/pip \\
    && /tmp/pip/bin/pip --python /usr/bin/python3 --disable-pip-version-check install --quiet --no-cache-dir \\
        --root-user-action ignore jupyterhub=={version} \\
    && rm -rf /tmp/pip
USER 1000:1000
"""


def image_for_hub(engine: Engine, image: str) -> str:
    """A tag of `image` with JupyterHub added; built once per content."""
    text = DOCKERFILE.format(image=image, version=peers.JUPYTERHUB)
    tag = f"berth-benchmark/jupyterhub:{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    if not engine.client.images.list(name=tag):
        say(f"Building {tag} for JupyterHub")
        engine.client.images.build(fileobj=BytesIO(text.encode()), tag=tag, rm=True, forcerm=True)
    return tag


class Hub:
    """A hub that runs; `launch` and `end` are one user's clicks, made over its REST API."""

    def __init__(self, engine: Engine, port: int, token: str, log: Path) -> None:
        self._engine, self._url = engine, f"http://127.0.0.1:{port}"
        self._headers, self._log = {"Authorization": f"token {token}"}, log
        self._session = requests.Session()

    def add_user(self) -> None:
        self._ask("POST", f"users/{USER}")

    def launch(self) -> None:
        """Comes back when JupyterLab answers at its address. The hub answers when it thinks so itself."""
        self._ask("POST", f"users/{USER}/server")
        status = f"{self._url}/user/{USER}/api/status"
        until(lambda: answers(self._session, status, self._headers), "JupyterHub's launch")

    def end(self) -> None:
        self._ask("DELETE", f"users/{USER}/server")
        until(self._has_ended, "The end of JupyterHub's server")

    def _has_ended(self) -> bool:
        return not self._ask("GET", f"users/{USER}")["servers"] and not self._containers()

    def _containers(self) -> list[Any]:
        filters = {"name": NAME.format(run=self._engine.run)}
        return list(self._engine.client.api.containers(all=True, filters=filters))

    def remove_containers(self) -> None:
        for row in self._containers():
            self._engine.remove_container(row["Id"])

    def _ask(self, method: str, path: str) -> Any:
        reply = self._session.request(method, f"{self._url}/hub/api/{path}", headers=self._headers, timeout=120)
        if not reply.ok:
            raise Stopped(
                f"JupyterHub answered {method} {path} with {reply.status_code}: {reply.text[:500]}", self._log
            )
        return reply.json() if reply.content else None


@contextmanager
def hub(engine: Engine, like: dict[str, Any], folder: Path) -> Iterator[Hub]:
    """A hub whose servers have the image and the limits of the container `like`."""
    port, token = free_ports(3), secrets.token_hex(32)
    configuration, network = folder / "jupyterhub_config.json", engine.make_network("hub")
    settings = _hub(engine.gateway(network), port, token, folder) | _spawner(engine, like, network)
    configuration.write_text(json.dumps(settings))
    command = [str(peers.programs() / "jupyterhub"), "--config", str(configuration)]
    log = folder / "jupyterhub.log"
    with running(command, port, log, peers.environment()):
        made = Hub(engine, port, token, log)
        until(lambda: answers(requests.Session(), f"http://127.0.0.1:{port}/hub/api", {}), "JupyterHub's start")
        made.add_user()
        try:
            yield made
        finally:
            made.remove_containers()


def _hub(address: str, port: int, token: str, folder: Path) -> dict[str, Any]:
    """The hub itself listens where its containers reach it, the proxy on 127.0.0.1."""
    scopes = ["admin:users", "admin:servers", "access:servers"]
    return {
        "JupyterHub": {
            "bind_url": f"http://127.0.0.1:{port}",
            "hub_bind_url": f"http://{address}:{port + 1}",
            "authenticator_class": "dummy",
            "spawner_class": "docker",
            "db_url": f"sqlite:///{folder / 'jupyterhub.sqlite'}",
            "cookie_secret_file": str(folder / "jupyterhub-cookie-secret"),
            "services": [{"name": "benchmark", "api_token": token}],
            "load_roles": [{"name": "benchmark", "scopes": scopes, "services": ["benchmark"]}],
        },
        "ConfigurableHTTPProxy": {
            "api_url": f"http://127.0.0.1:{port + 2}",
            "auth_token": secrets.token_hex(32),
            "pid_file": str(folder / "jupyterhub-proxy.pid"),
        },
        "Authenticator": {"allow_all": True},
    }


def _spawner(engine: Engine, like: dict[str, Any], network: str) -> dict[str, Any]:
    limits = like["HostConfig"]
    return {
        "DockerSpawner": {
            "image": image_for_hub(engine, like["Image"]),
            "cmd": ["jupyterhub-singleuser"],
            "name_template": NAME.format(run=engine.run),
            "network_name": network,
            "remove": True,
            "mem_limit": limits["Memory"],
            "cpu_limit": limits["NanoCpus"] / 1e9,
            "notebook_dir": HOME,
            "volumes": {engine.make_volume("hub-home"): HOME},
        }
    }
