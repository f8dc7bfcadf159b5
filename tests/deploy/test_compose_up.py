"""docker-compose.yml for real: all services come up healthy, the sign-in page answers, and `down` leaves nothing."""

import http.client
import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.configuration import ca_bundle
from deploy.python_environment import ROOT
from tests import base_images
from tests.deploy.conftest import Eventually, compose
from tests.system import free_ports

pytestmark = pytest.mark.e2e


def run(*command: str, **options: object) -> str:
    """Its output; what it said is shown when it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-4000:]}"
    return str(done.stdout)


def copy_checkout(target: Path) -> None:
    """What git would commit, so that nothing of a developer's own gets in and nothing is written here."""
    listed = run("git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard")
    for name in listed.splitlines():
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    bundle = ca_bundle(os.environ)
    if bundle:
        shutil.copy(bundle, target / "company-ca.crt")


@pytest.fixture
def project(tmp_path: Path) -> Iterator[tuple[Path, dict[str, str], str]]:
    """A copy of the checkout, the environment for compose, and the project's name; all gone afterwards."""
    name = f"berth-test-{secrets.token_hex(4)}"
    port = free_ports(9)
    base_images.debian()
    copy_checkout(tmp_path)
    run("docker", "build", "--quiet", "--tag", f"{name}:stand-in", str(tmp_path / "tests/deploy/stand_ins"))
    names = (
        "BERTH_PORT",
        "WEB_PORT",
        "LIVE_PORT",
        "RELAY_PORT",
        "SSH_PORT",
        "FILES_PORT",
        "SERVICES_PORT",
        "POSTGRES_PORT",
        "REDIS_PORT",
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith("BERTH_")}
    environment |= {variable: str(port + offset) for offset, variable in enumerate(names)}
    environment |= {
        "BERTH_INSTANCE": name,
        "BERTH_VERSION": name,
        "BERTH_PORTAL_URL": f"http://localhost:{port}",
        "BERTH_WORKSPACE_URL": f"http://{{id}}.localhost:{port}/",
        "DOCKER_GID": str(Path("/var/run/docker.sock").stat().st_gid),
        "POSTGRES_IMAGE": f"{name}:stand-in",
        "REDIS_IMAGE": f"{name}:stand-in",
    }
    run(sys.executable, "-m", "deploy.server_secrets", cwd=tmp_path, env=environment)
    yield tmp_path, environment, name
    run(*compose(), "--project-name", name, "down", "--volumes", cwd=tmp_path, env=environment)
    run("docker", "rmi", "--force", f"{name}:stand-in", f"berth:{name}")


def page(port: str, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=10)
    try:
        connection.request("GET", path, headers={"Host": f"localhost:{port}"})
        reply = connection.getresponse()
        return reply.status, reply.read().decode()
    except (OSError, http.client.HTTPException):
        return 0, ""
    finally:
        connection.close()


def health(name: str) -> dict[str, str]:
    """`healthy` or what else it is, by service."""
    listed = run("docker", "ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={name}").split()
    found = {}
    for container in json.loads(run("docker", "inspect", *listed)):
        state = container["State"]
        service = container["Config"]["Labels"]["com.docker.compose.service"]
        found[service] = state.get("Health", {}).get("Status") or f"ended with {state['ExitCode']}"
    return found


def test_a_server_comes_up(project: tuple[Path, dict[str, str], str], eventually: Eventually) -> None:
    folder, environment, name = project
    run(*compose(), "--project-name", name, "up", "--build", "--detach", cwd=folder, env=environment)
    port = environment["BERTH_PORT"]
    eventually(lambda: page(port, "/readyz")[0] == 200)
    status, body = page(port, "/sign-in/")
    assert (status, "<form" in body) == (200, True)
    eventually(lambda: set(health(name).values()) == {"healthy", "ended with 0"})
    assert health(name)["init"] == "ended with 0"
    assert json.loads(page(port, "/readyz")[1]) == {"database": "ok", "redis": "ok", "worker": "ok", "agent": "ok"}
    look = "import os; print(os.getuid(), os.path.isdir('/volumes'), os.path.exists('/var/run/docker.sock'))"
    command = ["--project-name", name, "exec", "-T", "files", "python", "-c", look]
    assert run(*compose(), *command, cwd=folder, env=environment).strip() == "1000 True False"
