"""A second container engine, in a network of its own, that a test may stop, freeze and kill."""

import os
import secrets
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGTERM, Signals

import pytest

from tests.callers import eventually
from tests.engine import Engine


class PrivateEngine(Engine):
    """A dockerd with its own data, socket and network namespace; the machine's own is not touched."""

    def __init__(self) -> None:
        if os.geteuid() != 0 or not (shutil.which("dockerd") and shutil.which("ip")):
            pytest.fail("Hurting an engine needs root, dockerd and ip: run these tests as root where docker.io is.")
        self.folder = Path(tempfile.mkdtemp(prefix="berth-engine-"))
        self.url = f"unix://{self.folder / 'docker.sock'}"
        self._name = self.folder.name
        self._daemon: subprocess.Popen[bytes] | None = None
        link = f"10.222.{secrets.randbelow(256)}"
        self.address = f"{link}.2"
        self.enter = ("nsenter", f"--net=/run/netns/{self._name}")
        self._make_network(f"{link}.1")

    def _make_network(self, outer: str) -> None:
        """A pair of ends: `outer` here, `address` in the namespace, which also has it as its way out."""
        self._link, theirs = f"b{self._name[-8:]}", "eth0"
        for command in (
            f"ip netns add {self._name}",
            f"ip link add {self._link} type veth peer name {theirs} netns {self._name}",
            f"ip address add {outer}/30 dev {self._link}",
            f"ip link set {self._link} up",
        ):
            subprocess.run(command.split(), check=True)
        for command in (
            "ip link set lo up",
            f"ip address add {self.address}/30 dev {theirs}",
            f"ip link set {theirs} up",
            f"ip route add default via {outer}",
        ):
            subprocess.run([*self.enter, *command.split()], check=True)

    def start(self, *options: str) -> None:
        """After it, the engine answers."""
        folders = [f"--{name}={self.folder / name}" for name in ("data-root", "exec-root", "pidfile")]
        with (self.folder / "log").open("ab") as log:
            self._daemon = subprocess.Popen(
                [*self.enter, "dockerd", "--host", self.url, *folders, *options], stdout=log, stderr=log
            )
        eventually(self._answers, "an answer of the private engine")

    def _answers(self) -> bool:
        if self._daemon and self._daemon.poll() is not None:
            pytest.fail(f"The private engine ended: {(self.folder / 'log').read_text()[-3000:]}")
        done = subprocess.run(["docker", "--host", self.url, "version"], capture_output=True, check=False)
        return done.returncode == 0

    def signal(self, number: Signals) -> None:
        assert self._daemon is not None
        self._daemon.send_signal(number)

    def end(self, number: Signals) -> None:
        """After it, neither the engine nor its containerd runs; what it ran may."""
        assert self._daemon is not None
        self.signal(number)
        self._daemon.wait(60)
        eventually(lambda: not self._processes("containerd --config"), "the end of containerd")
        # Where init is slow to bury it, the next engine would take it for alive.
        (self.folder / "exec-root/containerd/containerd.pid").unlink(missing_ok=True)

    def restart(self, *options: str) -> None:
        self.end(SIGTERM)
        self.start(*options)

    def _processes(self, words: str = "") -> list[int]:
        """Those whose command names our folder."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                command = path.read_text().replace("\0", " ")
                if str(self.folder) in command and words in command:
                    found.append(int(path.parent.name))
        return found

    def remove(self) -> None:
        """After it, nothing of it is left."""
        if self._daemon and self._daemon.poll() is None:
            self.signal(SIGCONT)
            if containers := self.run("ps", "--all", "--quiet").split():
                self.run("rm", "--force", *containers)
            self.end(SIGTERM)
        for pid in self._processes():
            os.kill(pid, SIGKILL)
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in reversed([mount for mount in mounts if mount.startswith(f"{self.folder}/")]):
            subprocess.run(["umount", "--lazy", mount], check=True)
        subprocess.run(["ip", "link", "delete", self._link], check=True)
        subprocess.run(["ip", "netns", "delete", self._name], check=True)
        shutil.rmtree(self.folder)
