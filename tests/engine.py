"""The container engine under a Berth that is tested: the machine's own, or one that a test may hurt."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from docker import APIClient

from runtimes import isolation
from tests import base_images
from tests.contract.names import BASE_IMAGE


class Engine:
    """The machine's own engine. `enter` begins a command that runs where a Berth on this engine runs."""

    url = ""
    address = host_address = "127.0.0.1"
    enter: tuple[str, ...] = ()

    def run(self, *arguments: str) -> str:
        """What the `docker` program prints."""
        done = subprocess.run(
            ["docker", *arguments], env=self._environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, **({"DOCKER_HOST": self.url} if self.url else {})}

    def names(self, label: str) -> list[str]:
        """Of Berth's own containers; those in which images are built have the labels of what they build on."""
        ours = ("--filter", "label=berth.allocation", "--filter", f"label={label}")
        return self.run("ps", "--all", *ours, "--format", "{{.Names}}").split()

    @contextmanager
    def events(self, label: str, *kinds: str) -> Iterator[Iterator[dict[str, str]]]:
        """What happens in the next minutes to Berth's own containers: each event as its labels and its `name`."""
        client = APIClient(base_url=self.url or None, version="auto")
        filters = {"type": ["container"], "label": ["berth.allocation", label], "event": list(kinds)}
        now = time.time()
        span = {"since": f"{now:.9f}", "until": f"{now + 300:.9f}"}  # numbers would be cut to whole seconds
        stream: Any = client.events(**span, decode=True, filters=filters)  # type: ignore[call-overload]
        try:
            yield (event["Actor"]["Attributes"] for event in stream)
        finally:
            stream.close()
            client.close()

    def address_of(self, container: str) -> str:
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return self.run("inspect", "--format", form, container).strip()

    def save_base(self, target: Path) -> None:
        """A small Debian with Python, made once per machine, as `docker save` writes it."""
        base_images.with_python()
        subprocess.run(["docker", "save", "--output", str(target), BASE_IMAGE], check=True)

    def clear(self, instance: str, registry: str) -> list[str]:
        """Remove what an instance leaves by design: homes, networks, packet rules, images; the rest is told."""
        label = f"label=berth.instance={instance}"
        for container in (left := self.names(f"berth.instance={instance}")):
            self.run("rm", "--force", container)
        for kind in ("network", "volume"):
            for name in self.run(kind, "ls", "--filter", label, "--format", "{{.Name}}").split():
                for helper in self.names(f"berth.volume={name}"):  # of a killed process; goes with its volume
                    self.run("rm", "--force", helper)
                self.run(kind, "rm", name)
        for image in self.run("images", "--digests", "--format", "{{.Repository}}@{{.Digest}}").split():
            if image.startswith(registry):
                self.run("rmi", "--no-prune", image)
        return left + _packet_rules(instance)


def _packet_rules(instance: str) -> list[str]:
    """What is left of an instance's packet filter once its driver has removed it."""
    if os.geteuid() != 0:
        return []
    isolation.remove(instance)
    rules = subprocess.run(["iptables", "--wait", "-S"], capture_output=True, text=True, check=True).stdout
    return [rule for rule in rules.splitlines() if f"berth-{instance}" in rule]
