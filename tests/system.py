"""A whole Berth, started as `make run` starts it, in a folder, on ports and under an instance name of its own."""

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy import configuration
from deploy.python_environment import ROOT
from deploy.supervisor import Supervisor, leftovers
from tests.callers import DEADLINE, Caller, Server, cookies, eventually
from tests.engine import Engine
from tests.manager import Manager
from tests.registry import Registry

USERS = ("scientist", "lead", "outsider")
SLOW_START = 600
"""Seconds, on a machine that is busy with other tests."""
FIRST_BUILDS = 2400
"""Seconds that the images of the catalog may take on a machine that has none of them."""


class Berth:
    """One running Berth and everything a test needs to look into it, to use it and to hurt it."""

    def __init__(self, engine: Engine, *, by_path: bool = False, **more: str) -> None:
        self.engine = engine
        self.more = more
        self.instance = f"t{secrets.token_hex(4)}"
        # Rules of the packet filter are for a range: two Berths with one range would close each other's door.
        self.networks = f"10.{224 + secrets.randbelow(16)}.{16 * secrets.randbelow(16)}.0/20"
        self.data = Path(tempfile.mkdtemp(prefix="berth-system-"))
        self.data.chmod(0o711)  # PostgreSQL's own account passes through
        self.server = Server(engine.address, free_ports(), by_path)
        self.registry_port = free_ports(1)
        self.registry = Registry(self.data / "registry", f"{engine.host_address}:{self.registry_port}")
        self.configuration = configuration.read(self._settings())
        self.supervisor = Supervisor(self.configuration)  # to ask only: `make run` has its own
        self._manager = Manager(engine.enter, self.configuration.environment)
        self._tokens: dict[str, str] = {}
        self._processes: list[subprocess.Popen[bytes]] = []

    tiny = ROOT / "tests/e2e/images/tiny/tiny.py"

    @property
    def url(self) -> str:
        return f"http://localhost:{self.server.port}"

    @property
    def accounts(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.data / "demo-accounts.json").read_text())
        return found

    def _settings(self) -> dict[str, str]:
        port = self.server.port
        settings = {
            "BERTH_ACTIVITY_SECONDS": "2",
            "BERTH_DATA": str(self.data),
            "BERTH_INSTANCE": self.instance,
            "BERTH_PORT": str(port),
            "BERTH_CONTAINER_NETWORKS": self.networks,
            "BERTH_CPU_OVERCOMMIT": "16",
            "BERTH_ENGINE_URL": self.engine.url,
            "BERTH_WORKSPACE_URL": f"http://workspaces.localhost:{port}/w/{{id}}/" if self.server.by_path else "",
        }
        certificates = {name: os.environ[name] for name in configuration.CERTIFICATES if os.environ.get(name)}
        return certificates | {name: value for name, value in settings.items() if value} | self.more

    def start(self) -> None:
        """After it, Berth answers and its catalog has `tiny` beside the usual templates."""
        self._spawn([sys.executable, "-m", "deploy.up"], "up.log")
        eventually(self._up, "the start of Berth", SLOW_START)
        self._fill_registry()
        self._spawn([sys.executable, "tests/registry.py", str(self.registry.folder), str(self.registry_port)], "r.log")
        self.publish("tiny", self.registry.add_image("tiny", self.tiny))
        eventually(lambda: self.image("tiny")["state"] == "ready", "the pull of the stand-in image")
        if not self.engine.enter:  # an engine in a network of its own reaches no package archive, and builds nothing
            eventually(self._images_settled, "the end of all builds", FIRST_BUILDS, pause=2)

    def _images_settled(self) -> bool:
        """Builds take both cores for minutes, once per machine: no test is to run beside them."""
        found = self.api("admin").do("GET", "/images/?limit=100")["results"]
        return not {"queued", "building"} & {image["state"] for image in found}

    def _fill_registry(self) -> None:
        saved = self.data / "base.tar"
        self.engine.save_base(saved)
        self.registry.add_base(saved)
        saved.unlink()

    def _spawn(self, command: list[str], log: str) -> None:
        kept = ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE")
        outside = {k: v for k, v in os.environ.items() if k not in kept and not k.startswith("BERTH_")}
        with (self.data / log).open("ab") as output:
            process = subprocess.Popen(
                [*self.engine.enter, "setpriv", "--pdeathsig", "TERM", *command],
                cwd=ROOT,
                env={**outside, **self._settings(), "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self._processes.append(process)

    def _up(self) -> bool:
        said = (self.data / "up.log").read_text()
        if self._processes[0].poll() is not None:
            pytest.fail(f"Berth did not start: {said}")
        return "Berth runs:" in said

    def publish(self, slug: str, image: str, **more: Any) -> None:
        """Add a template to the catalog and apply it, as an administrator would."""
        folder = self.data / "catalog"
        if not folder.exists():
            shutil.copytree(ROOT / "catalog", folder)
            with (folder / "sizes.yaml").open("a") as sizes:
                sizes.write("  - {slug: tiny, cpu: 0.1, memory_gib: 0.06}\n")
                sizes.write("  - {slug: tiny-gpu, cpu: 0.1, memory_gib: 0.06, gpu: {class: a100, count: 1}}\n")
        template = {
            "slug": slug,
            "name": slug.capitalize(),
            "summary": "A stand-in that starts at once.",
            "kind": "workspace",
            "icon": {"letter": "T", "colour": "grey"},
            "teams": ["*"],
            "sizes": ["tiny", "tiny-gpu", "small"],
            "default_size": "tiny",
            "versions": [
                {
                    "version": "1",
                    "image": {"name": slug, "pull": image},
                    "port": 8888,
                    "health_path": "{prefix}api",
                    "door_header": "Authorization: token {secret}",
                    "command": ["{port}"],
                }
            ],
        }
        (folder / "templates" / f"{slug}.yaml").write_text(json.dumps(template | more))  # JSON is YAML
        self.manage("catalog", "apply", str(folder), "--yes")

    def manage(self, *arguments: str) -> str:
        """What `manage.py …` prints; CalledProcessError with its words when it fails."""
        return self._manager.run(*arguments)

    def api(self, user: str) -> Caller:
        if user not in self._tokens:
            self._tokens[user] = self.manage("create_token", user).split()[-1]
        return Caller(self.server, self._tokens[user])

    def sign_in(self, user: str) -> str:
        """The cookies of a browser in which this person has signed in."""
        page = self.server.send("GET", "localhost", "/sign-in/")
        csrf = cookies(page)
        token = csrf.partition("=")[2]
        fields = {"username": user, "password": self.accounts[user], "csrfmiddlewaretoken": token}
        done = self.server.send_form("localhost", "/sign-in/", fields, Cookie=csrf, Origin=self.url)
        assert done.status == 302, done
        return cookies(done)

    def image(self, name: str) -> dict[str, Any]:
        found = self.api("admin").do("GET", "/images/?limit=100")["results"]
        return next(image for image in found if image["name"] == name)

    def violations(self) -> str:
        """What `manage.py check_invariants --engine` finds wrong; empty when all hold."""
        try:
            self.manage("check_invariants", "--engine")
        except subprocess.CalledProcessError as error:
            return str(error.stdout)
        return ""

    def assert_invariants(self, seconds: float = DEADLINE) -> None:
        """They hold at latest when the next sweep is over."""
        deadline = time.monotonic() + seconds
        while found := self.violations():
            assert time.monotonic() < deadline, found
            time.sleep(1)

    def container(self, workspace: dict[str, Any]) -> str:
        """The name of the newest container of a workspace."""
        return max(self.engine.names(f"berth.allocation={workspace['allocation']}"), default="")

    def inside(self, workspace: dict[str, Any], code: str) -> str:
        """What this Python prints inside a workspace."""
        return self.engine.run("exec", "--user", "1000", self.container(workspace), "python3", "-c", code)

    def pids(self, name: str) -> list[int]:
        """A process of the Procfile with all its descendants, itself first."""
        found = [self.supervisor.pid(name)]
        parents = _parents()
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid]
        return found

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> Callable[[], None]:
        """Signal the process itself; what comes back waits until the supervisor has started another."""
        before = self.supervisor.pid(name)
        os.kill(before, number)
        return lambda: self._wait_for_another(name, before)

    def _wait_for_another(self, name: str, before: int) -> None:
        eventually(lambda: self.supervisor.pid(name) not in (0, before), f"a new {name}")
        eventually(lambda: self.supervisor.states()[name] == "RUNNING", f"{name} running")

    @contextmanager
    def frozen(self, *names: str) -> Iterator[None]:
        """These processes and their children neither run nor end in here, nor one that was just being begun."""
        held: list[int] = []
        try:
            while new := [pid for name in names for pid in self.pids(name) if pid not in held]:
                held += new
                _signal(new, signal.SIGSTOP)
            yield
        finally:
            _signal(held, signal.SIGCONT)

    def stop(self) -> list[str]:
        """End it and remove all it made; what was left although it should not have been."""
        self.registry.let_go()
        try:
            left = self._ended_workspaces() if self._tokens else []
        finally:
            processes = self._end_processes()
            shutil.rmtree(self.data)
        return left + processes + self.engine.clear(self.instance, self.registry.address)

    def _end_processes(self) -> list[str]:
        """As Ctrl-C does; those that go on although they should not."""
        self._manager.end()
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(90)
        return [f"process {pid}" for pid in leftovers(self.data)]

    def _ended_workspaces(self) -> list[str]:
        """Delete every workspace and wait for the engine; the containers that stay although they should not."""
        for user in USERS:
            self.api(user).delete_all()
        deadline = time.monotonic() + DEADLINE
        while (left := self.engine.names(f"berth.instance={self.instance}")) and time.monotonic() < deadline:
            time.sleep(0.2)
        return left


@contextmanager
def running(engine: Engine | None = None, *, by_path: bool = False, **more: str) -> Iterator[Berth]:
    """A Berth for the time of a block, with `more` settings; after it, nothing of it is left on this machine."""
    berth = Berth(engine or Engine(), by_path=by_path, **more)
    try:
        berth.start()
        yield berth
    finally:
        left = berth.stop()
    assert left == []


def held_pull(berth: Berth, caller: Caller, name: str) -> str:
    """A workspace that waits for an image whose pull hangs; the registry holds those whose name begins with `slow`."""
    berth.publish(name, berth.registry.add_image(name, berth.tiny))
    pk = caller.launch(name)
    caller.wait(pk, "pulling")
    eventually(lambda: berth.image(name)["state"] == "building", "the begin of the pull")
    return pk


def free_ports(count: int = 7) -> int:
    """The first of `count` ports in a row that nobody listens on, by chance: others may look at the same time."""
    for _ in range(100):
        first = 20_000 + secrets.randbelow(10_000)
        if all(_is_free(first + offset) for offset in range(count)):
            return first
    pytest.fail("No free ports on this machine.")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _parents() -> dict[int, int]:
    found = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            with contextlib.suppress(OSError):
                found[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
    return found


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
