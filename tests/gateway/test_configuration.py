"""The configuration that is rendered, the addresses that are refused, and what happens without nginx."""

import io
import os
import pwd
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse

from portal.gateway import checks, nginx, places
from portal.gateway.management.commands.gateway import Command
from tests.gateway.stack import environment, free_port, manage, nginx_elsewhere

SHARED = "http://localhost:8000/w/{id}/"


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        ("http://{id}.localhost:8000/", ""),
        ("https://ws-{id}.example.net/", ""),
        ("https://workspaces.example.org/w/{id}/", ""),
        (SHARED, "share the host localhost"),
        ("http://localhost:9000/w/{id}/", "share the host localhost"),
        ("ftp://{id}.localhost/", "must begin with http"),
        ("http://workspaces.localhost:8000/", "must hold {id} once"),
        ("http://{id}.localhost:8000/{id}/", "must hold {id} once"),
        ("http://{id}.localhost:8000", "must end with a slash"),
        ("http://{id}.localhost:8000/x/", "must end with a slash"),
        ("http://workspaces.localhost/w/{id}", "must end with a slash"),
        ("http://{id}.Example.net/", "small letters"),
        ("https://{id}.example.net:443/", "leave the port out"),
        ("http://{id}.example.net:80/", "leave the port out"),
        ("http://me@{id}.example.net/", "a host and a path only"),
    ],
)
def test_addresses_that_would_not_be_safe_are_refused_in_a_sentence(settings: Any, pattern: str, fault: str) -> None:
    settings.PORTAL_URL, settings.WORKSPACE_URL = "http://localhost:8000", pattern
    sentences = [error.msg for error in checks.addresses_are_apart()]
    assert [fault in sentence for sentence in sentences] == ([True] if fault else [])


def test_the_gateway_does_not_start_where_portal_and_workspaces_would_share_a_host(tmp_path: Path) -> None:
    env = environment(tmp_path, BERTH_PORTAL_URL="http://localhost:8000", BERTH_WORKSPACE_URL=SHARED)
    started = subprocess.run(manage("gateway"), env=env, capture_output=True, text=True, check=False)
    assert started.returncode != 0
    assert "share the host localhost with the portal" in started.stderr
    assert not (tmp_path / "nginx/nginx.conf").exists()


def test_a_missing_nginx_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: Any) -> None:
    from django.core.management.base import CommandError

    settings.BERTH_DATA = tmp_path
    monkeypatch.setattr(nginx, "program", lambda: None)
    with pytest.raises(CommandError, match="nginx is not installed"):
        Command().handle()


@pytest.mark.parametrize(
    ("path", "by_files"),
    [
        ("/files/home/", True),
        ("/api/v1/files/home/content/", True),
        (reverse("job-archive", args=["01M"]), True),
        (reverse("model-download", args=["vision", "churn-model", 7]), True),
        (reverse("api-artifact", args=["0" * 26, "outputs/model.pkl"]), True),
        (reverse("api-archive", args=["0" * 26]), True),
        (reverse("api-version-download", args=["churn-model", 7]), True),
        ("/jobs/01M/", False),
        (reverse("model-version", args=["vision", "churn-model", 7]), False),
        (reverse("api-version", args=["churn-model", 7]), False),
        ("/jobs/new/?next=/files/", False),
    ],
)
def test_what_reads_volumes_is_answered_by_the_process_that_has_them(tmp_path: Path, path: str, by_files: bool) -> None:
    rendered = nginx.render(tmp_path, nginx.workers_account(), None)
    (location,) = re.findall(r"location ~ (\S+) \{\s+proxy_pass http://berth_files;", rendered)
    assert bool(re.match(location, path)) == by_files


@pytest.mark.parametrize(
    ("portal", "pattern"),
    [
        ("https://berth.example.org", "https://{id}.ws-example.net/"),
        ("https://berth.example.org", "https://a.b-{id}.ws-example.net/"),
        ("https://berth.example.org", "https://workspaces.example.org/deep/w/{id}/"),
    ],
)
def test_nginx_takes_the_configuration(settings: Any, tmp_path: Path, portal: str, pattern: str) -> None:
    settings.PORTAL_URL, settings.WORKSPACE_URL, settings.GATEWAY_PORT = portal, pattern, free_port()
    program = nginx.program()
    assert program, "nginx is not installed: run `apt-get install nginx`, then test again."
    command = [program, "-t", "-q", "-e", "stderr", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]
    for modules in {None, nginx.lua_modules(program)}:
        (tmp_path / "nginx.conf").write_text(nginx.render(tmp_path, nginx.workers_account(), modules))
        tested = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (tested.returncode, tested.stderr) == (0, "")


@pytest.mark.parametrize("present", [(), ("ndk_http_module.so", "ngx_http_lua_module.so")])
def test_without_a_lua_module_that_works_nginx_runs_as_it_can(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: Any, present: tuple[str, ...]
) -> None:
    for name in present:
        (tmp_path / name).write_text("nothing that nginx could load")
    settings.BERTH_DATA, settings.GATEWAY_PORT = tmp_path, free_port()
    program, folder = nginx_elsewhere(tmp_path), nginx.folder(tmp_path, nginx.workers_account())
    monkeypatch.setattr(nginx, "program", lambda: str(program))
    monkeypatch.setattr(os, "execv", lambda program, command: None)
    told = io.StringIO()
    Command(stderr=told, no_color=True).handle()
    assert "libnginx-mod-http-lua" in told.getvalue()
    assert "\nload_module" not in (folder / "nginx.conf").read_text()
    shutil.rmtree(folder)


@pytest.mark.parametrize(("runtime", "loopback"), [("docker", False), ("local", True), ("fake", True)])
def test_this_machine_is_a_place_for_containers_only_without_an_engine(
    settings: Any, runtime: str, loopback: bool
) -> None:
    settings.RUNTIME, settings.CONTAINER_NETWORKS = runtime, "10.201.0.0/16, 172.30.0.0/24"
    assert places.is_container("127.0.0.1") is loopback
    assert places.is_container("10.201.3.4")
    assert places.is_container("172.30.0.9")
    for other in ("10.202.0.1", "169.254.169.254", "localhost", "", "10.201.3.4.evil.example"):
        assert not places.is_container(other)


def test_networks_that_are_none_are_refused(settings: Any) -> None:
    settings.CONTAINER_NETWORKS = "everywhere"
    assert ["10.201.0.0/16" in error.msg for error in checks.addresses_are_apart()] == [True]


def test_browsers_and_containers_come_to_different_ports(settings: Any) -> None:
    settings.SERVICES_PORT = settings.GATEWAY_PORT
    assert ["another port" in error.msg for error in checks.addresses_are_apart()] == [True]


def test_workers_can_reach_their_folder_wherever_the_data_lies(tmp_path: Path) -> None:
    """As root, in a home that is closed to others, as after `git clone` into /root."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    account = nginx.workers_account()
    folder = nginx.folder(closed, account)
    assert (folder == closed / "nginx") is (os.geteuid() != 0)
    if account:
        entry = pwd.getpwnam(account)
        reach = ["test", "-x", str(folder)]
        assert (
            subprocess.run(reach, user=entry.pw_uid, group=entry.pw_gid, extra_groups=[], check=False).returncode == 0
        )
        folder.rmdir()
