"""What Berth on one machine is configured with: the data folder, addresses, and where its services answer.

Everything can be set from outside by the same names; it is written to `DATA/environment`, where manage.py finds it."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy import postgres, redis
from deploy.python_environment import ROOT, VENV
from deploy.sockets import run_directory

CERTIFICATES = ("BERTH_CA_BUNDLE", "SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")
"""Where a company's certificate authority is usually named; images are built with it too."""


SIMULATED_GPUS = "a100:2"
"""What a first run has to try out; the pages call them simulated."""


@dataclass(frozen=True)
class Configuration:
    data: Path
    port: int
    settings: Mapping[str, str]
    embedded: tuple[str, ...]
    """The services that are run here because no outside one was named."""
    procfile: Path = ROOT / "Procfile"

    @property
    def addresses(self) -> dict[str, tuple[str, int]]:
        """Who listens where, the gateway first."""
        found = {"gateway": ("127.0.0.1", self.port)}
        for name in ("web", "live", "relay", "files"):
            host, _, port = self.settings[f"BERTH_{name.upper()}_ADDRESS"].rpartition(":")
            found[name] = (host, int(port))
        found["ssh"] = ("127.0.0.1", int(self.settings["BERTH_SSH_PORT"]))
        if services := int(self.settings["BERTH_SERVICES_PORT"]):
            found["services"] = ("127.0.0.1", services)
        return found

    @property
    def environment(self) -> dict[str, str]:
        """For Berth's processes: ours, the settings, and the virtual environment's programs first."""
        path = os.pathsep.join([str(VENV / "bin"), os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"])
        return {**os.environ, **self.settings, "PATH": path, "PYTHONUNBUFFERED": "1"}


def data_directory(given: Mapping[str, str]) -> Path:
    return Path(given.get("BERTH_DATA") or ROOT / ".berth").resolve()


def read(given: Mapping[str, str]) -> Configuration:
    """From what was set outside; makes the data folder and, once, the instance name and the secret key."""
    data = data_directory(given)
    (data / "log").mkdir(parents=True, exist_ok=True)
    port = int(given.get("BERTH_PORT") or 8000)
    settings = {
        "BERTH_DATA": str(data),
        "BERTH_RUNTIME": "docker",
        "BERTH_SIMULATED_GPUS": SIMULATED_GPUS,
        "BERTH_PORT": str(port),
        "BERTH_WEB_ADDRESS": f"127.0.0.1:{port + 1}",
        "BERTH_LIVE_ADDRESS": f"127.0.0.1:{port + 2}",
        "BERTH_RELAY_ADDRESS": f"127.0.0.1:{port + 3}",
        "BERTH_FILES_ADDRESS": f"127.0.0.1:{port + 5}",
        "BERTH_SSH_PORT": str(port + 4),
        "BERTH_SERVICES_PORT": str(port + 6),
        "BERTH_EXECUTE_SOCKET": str(run_directory(data) / "execute.sock"),
        "BERTH_PORTAL_URL": f"http://localhost:{port}",
        "BERTH_WORKSPACE_URL": f"http://{{id}}.localhost:{port}/",
    }
    settings |= {name: value for name, value in given.items() if value and name.startswith("BERTH_")}
    embedded = _add_services(settings, data, given)
    _add_secrets(settings, data, given)
    if bundle := ca_bundle(given):
        settings["BERTH_CA_BUNDLE"] = bundle
    return Configuration(data, port, settings, embedded)


def ca_bundle(given: Mapping[str, str]) -> str:
    """The file of certificate authorities that this environment names; empty where it names none."""
    return next((given[name] for name in CERTIFICATES if given.get(name)), "")


def _add_services(settings: dict[str, str], data: Path, given: Mapping[str, str]) -> tuple[str, ...]:
    embedded = []
    for service, name, url in (("postgres", "DATABASE_URL", postgres.url), ("redis", "REDIS_URL", redis.url)):
        if given.get(name) or given.get(f"{name}_FILE"):
            settings |= {key: given[key] for key in (name, f"{name}_FILE") if given.get(key)}
        else:
            settings[name] = url(data)
            embedded.append(service)
    return tuple(embedded)


def _add_secrets(settings: dict[str, str], data: Path, given: Mapping[str, str]) -> None:
    for name, length in (("BERTH_INSTANCE", 4), ("BERTH_SECRET_KEY", 32)):
        if given.get(name) or given.get(f"{name}_FILE"):
            continue
        path = data / name.removeprefix("BERTH_").lower().replace("_", "-")
        if not path.exists():
            write_private(path, secrets.token_hex(length))
        settings[f"{name}_FILE"] = str(path)


def write_private(path: Path, text: str) -> None:
    """Whole or not at all, and readable by this account only."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_text(text)
    fresh.rename(path)


def write_environment(configuration: Configuration) -> None:
    lines = [f"{name}={value}\n" for name, value in sorted(configuration.settings.items()) if name != "BERTH_DATA"]
    write_private(configuration.data / "environment", "".join(lines))
