"""A Berth of the benchmark's own: the processes of `make run`, on free ports, with data that is gone afterwards."""

import os
import subprocess
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import requests

from benchmarks.polling import until
from benchmarks.processes import free_ports, temporary_folder
from deploy.configuration import CERTIFICATES, Configuration, read, write_environment
from deploy.python_environment import ROOT, VENV
from deploy.screen import Steps, Stopped, say
from deploy.supervisor import Supervisor
from deploy.up import bring_up

IMAGE_SECONDS = 1800.0


class Berth:
    """Speaks to it as the demo account `scientist`."""

    def __init__(self, configuration: Configuration) -> None:
        self.port = configuration.port
        self._configuration = configuration
        self.token = self.python("manage.py", "create_token", "scientist").split()[-1]
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {self.token}"

    def pid(self, name: str) -> int:
        """Of a process of the Procfile."""
        return Supervisor(self._configuration).pid(name)

    def cookie(self, user: str) -> str:
        """Of a browser in which this person has signed in."""
        return self.python("-m", "benchmarks.signed_in", user).split()[-1]

    def python(self, *arguments: str) -> str:
        """What a command of Berth's own Python says on its standard output."""
        done = subprocess.run(
            [str(VENV / "bin" / "python"), *arguments],
            cwd=ROOT,
            env=self._configuration.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Stopped(f"`python {' '.join(arguments)}` failed: {done.stderr[-1000:]}")
        return done.stdout

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None, patience: float = 30) -> Any:
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}"
        headers = {"Host": f"localhost:{self.port}"}
        reply = self._session.request(method, url, json=body, headers=headers, timeout=patience)
        if not reply.ok:
            raise Stopped(f"Berth answered {method} {path} with {reply.status_code}: {reply.text[:500]}")
        return reply.json()

    def host(self, workspace: str) -> str:
        """What names the workspace to the gateway; the connection itself goes to 127.0.0.1."""
        return f"{workspace.lower()}.localhost:{self.port}"

    def wait_for_image(self, template: str) -> None:
        """Berth builds it if the engine has none of this content yet."""
        if self._image_state(template) != "ready":
            say(f"Waiting for Berth to build the image of {template}")
        until(lambda: self._image_state(template) == "ready", f"The image of {template}", 1.0, IMAGE_SECONDS)

    def _image_state(self, template: str) -> str:
        return str(self.ask("GET", f"templates/{template}/")["image_state"])


@contextmanager
def running(settings: Mapping[str, str], *, processes: Collection[str] = ()) -> Iterator[Berth]:
    """Start it and end it; `processes` of the Procfile, or all of them."""
    with temporary_folder() as data:
        configuration = _configuration(data, settings, processes)
        write_environment(configuration)
        supervisor = Supervisor(configuration)
        try:
            with redirect_stdout(StringIO()):
                bring_up(supervisor, Steps(6, done=3))
            yield Berth(configuration)
        finally:
            supervisor.stop()


def _configuration(data: Path, settings: Mapping[str, str], processes: Collection[str]) -> Configuration:
    certificates = {name: os.environ[name] for name in CERTIFICATES if name in os.environ}
    configuration = read({**certificates, "BERTH_DATA": str(data), "BERTH_PORT": str(free_ports(7)), **settings})
    if not processes:
        return configuration
    procfile = data / "Procfile"
    lines = configuration.procfile.read_text().splitlines(keepends=True)
    procfile.write_text("".join(line for line in lines if line.partition(":")[0] in processes))
    return replace(configuration, procfile=procfile)
