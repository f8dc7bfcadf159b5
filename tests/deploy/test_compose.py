"""docker-compose.yml: valid for the tool at hand, the same processes as the Procfile, and the engine's socket where it
belongs and nowhere else."""

import json
import os
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from deploy.processes import read_procfile
from deploy.python_environment import ROOT
from portal.settings import env
from tests.deploy.conftest import compose

ENGINE = {"worker", "images", "pulls", "agent"}
NOT_PASSED = {
    "BERTH_DATA": "set in the image, where the volume `data` is mounted",
    "BERTH_DEBUG": "for development only",
    "BERTH_DEMO_HISTORY": "for the demo of `make run` only",
    "BERTH_ENGINE_URL": "the socket is mounted where Docker has it",
    "BERTH_RUNTIME": "these processes are in containers: they cannot start plain processes for people",
    "BERTH_VOLUMES": "for `files` alone, which gets it",
}
ON_HOST = {"gateway", "relay", "agent"}


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    """The file as the tool understands it, all references resolved."""
    command = [*compose(), "--file", str(ROOT / "docker-compose.yml"), "config"]
    shown = subprocess.run(command, env={**os.environ, "DOCKER_GID": "999"}, capture_output=True, text=True, check=True)
    found: dict[str, Any] = yaml.safe_load(shown.stdout)
    return found


def names(project: dict[str, Any], rule: Callable[[dict[str, Any]], bool]) -> set[str]:
    return {name for name, service in project["services"].items() if rule(service)}


def test_it_runs_what_the_procfile_runs(project: dict[str, Any]) -> None:
    processes = {process.name for process in read_procfile((ROOT / "Procfile").read_text())}
    assert set(project["services"]) == processes | {"init"}


def test_only_four_processes_hold_the_engine(project: dict[str, Any]) -> None:
    assert names(project, lambda service: "docker.sock" in json.dumps(service.get("volumes", []))) == ENGINE


def test_only_the_agent_and_the_ssh_door_share_the_socket_between_them(project: dict[str, Any]) -> None:
    assert names(project, lambda service: "/run/berth" in json.dumps(service.get("volumes", []))) == {"agent", "ssh"}


def test_everything_is_watched_and_comes_back(project: dict[str, Any]) -> None:
    lasting = set(project["services"]) - {"init"}
    assert names(project, lambda service: bool(service.get("healthcheck", {}).get("test"))) == lasting
    assert names(project, lambda service: service.get("restart") == "unless-stopped") == lasting


def test_only_what_connects_to_workspaces_uses_the_network_of_the_host(project: dict[str, Any]) -> None:
    assert names(project, lambda service: service.get("network_mode") == "host") == ON_HOST


def test_only_the_ssh_door_is_published_beyond_this_machine(project: dict[str, Any]) -> None:
    for name in set(project["services"]) - {"ssh"}:
        for port in project["services"][name].get("ports", []):
            assert "127.0.0.1" in json.dumps(port)


def test_berths_processes_have_no_privileges(project: dict[str, Any]) -> None:
    berth = names(project, lambda service: service["image"].startswith("berth:"))
    assert berth == set(project["services"]) - {"postgres", "redis"}
    hardened = names(
        project,
        lambda service: (
            service.get("cap_drop") == ["ALL"]
            and service.get("read_only") is True
            and service.get("security_opt") == ["no-new-privileges:true"]
            and not service.get("privileged")
        ),
    )
    assert hardened == berth


def test_every_setting_reaches_every_process(project: dict[str, Any]) -> None:
    for name in names(project, lambda service: service["image"].startswith("berth:")):
        given = {one.removesuffix("_FILE") for one in project["services"][name]["environment"]}
        assert set(env.scheme) - set(NOT_PASSED) - given == set(), name


def test_secrets_are_files(project: dict[str, Any]) -> None:
    for service in project["services"].values():
        for name in service.get("environment") or {}:
            assert not any(word in name for word in ("PASSWORD", "SECRET", "DATABASE", "REDIS")) or name.endswith(
                "_FILE"
            )


def test_berths_processes_wait_for_the_tables(project: dict[str, Any]) -> None:
    waiting = names(project, lambda service: "init" in (service.get("depends_on") or {}))
    assert waiting == set(project["services"]) - {"postgres", "redis", "init"}
