"""The container engine as the benchmarks use it: what they make there carries a label and is removed at the end."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from docker import DockerClient, from_env
from docker.errors import NotFound

from benchmarks.polling import until
from runtimes import isolation
from runtimes.base import EngineRefused

HOME = "/home/berth"
"""Where Berth's images keep a person's files."""


class Engine:
    """`run` names this run: in the label of what is made here, and as the instance of a Berth that works on it."""

    def __init__(self) -> None:
        self.run = secrets.token_hex(4)
        self.labels = {"berth.benchmark": self.run}
        self.client: DockerClient = from_env(timeout=120)

    def version(self) -> str:
        return str(self.client.version()["Version"])

    def make_volume(self, name: str) -> str:
        return str(self.client.volumes.create(f"berth-benchmark-{self.run}-{name}", labels=self.labels).name)

    def containers(self, label: str | list[str], status: str | None = None) -> list[str]:
        """With that label, or all of those."""
        filters = {"label": label} | ({"status": status} if status else {})
        rows = self.client.api.containers(all=True, filters=filters)
        return [row["Id"] for row in rows]

    def inspect(self, container: str) -> dict[str, Any]:
        return dict(self.client.api.inspect_container(container))

    def make_network(self, name: str) -> str:
        return str(self.client.networks.create(f"berth-benchmark-{self.run}-{name}", labels=self.labels).name)

    def address(self, container: str, network: str) -> str:
        return str(self.inspect(container)["NetworkSettings"]["Networks"][network]["IPAddress"])

    def gateway(self, network: str) -> str:
        """This machine's address as containers on that network see it."""
        return str(self.client.networks.get(network).attrs["IPAM"]["Config"][0]["Gateway"])

    def remove_container(self, container: str) -> None:
        """After it, it is gone."""
        try:
            self.client.api.remove_container(container, force=True, v=True)
        except NotFound:
            return
        until(lambda: self._is_gone(container), f"The removal of container {container}")

    def _is_gone(self, container: str) -> bool:
        try:
            self.inspect(container)
        except NotFound:
            return True
        return False

    @contextmanager
    def cleared_afterwards(self) -> Iterator[None]:
        """Images stay, so that the next run is quicker."""
        try:
            yield
        finally:
            for label in ("berth.benchmark", "berth.instance"):
                self._remove_all(f"{label}={self.run}")
            with suppress(EngineRefused):  # only root's agent set rules for the packet filter
                isolation.remove(self.run)

    def _remove_all(self, label: str) -> None:
        for container in self.containers(label):
            self.remove_container(container)
        for volume in self.client.volumes.list(filters={"label": label}):
            volume.remove()
        for network in self.client.networks.list(filters={"label": label}):
            network.remove()
