"""The Procfile and the configuration made from it and from the environment: pure, nothing is started."""

import configparser
import re
import shlex
from pathlib import Path

from deploy import configuration, processes, python_environment
from portal.celery import app

EXTERNAL = {"DATABASE_URL": "postgres://db.example.org/berth", "REDIS_URL": "redis://cache.example.org/0"}


def read(data: Path, **given: str) -> configuration.Configuration:
    return configuration.read({"BERTH_DATA": str(data), **given})


def supervised(data: Path, **given: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    parser.read_string(processes.supervisor_configuration(read(data, **given)))
    return parser


def test_the_procfile_is_read_in_order() -> None:
    found = processes.read_procfile("# first\nweb: gunicorn a:b --bind 1:2\n\nagent: python manage.py agent\n")
    assert [(process.name, process.command) for process in found] == [
        ("web", "gunicorn a:b --bind 1:2"),
        ("agent", "python manage.py agent"),
    ]


def test_databases_start_first_and_the_gateway_last(data: Path) -> None:
    names = [process.name for process in processes.wanted(read(data))]
    assert names[:2] == ["postgres", "redis"]
    assert names[-1] == "gateway"


def test_every_queue_has_a_process(data: Path) -> None:
    app.autodiscover_tasks(force=True)
    rung = {app.conf.task_default_queue, *(route["queue"] for route in app.conf.task_routes.values())}
    assert set(re.findall(r" -Q (\S+)", read(data).procfile.read_text())) == rung


def test_services_that_run_elsewhere_are_not_started(data: Path) -> None:
    found = read(data, **EXTERNAL)
    assert found.embedded == ()
    assert not {"postgres", "redis"} & {process.name for process in processes.wanted(found)}
    assert found.settings["DATABASE_URL"] == EXTERNAL["DATABASE_URL"]


def test_every_process_is_restarted_and_ends_with_the_supervisor(data: Path) -> None:
    found = supervised(data)
    programs = [found[name] for name in found.sections() if name.startswith("program:")]
    assert len(programs) == len(processes.wanted(read(data)))
    for program in programs:
        assert program["autorestart"] == "true"
        assert program["killasgroup"] == "true"
        assert "--pdeathsig" in program["command"]
    assert found["program:postgres"]["stopsignal"] == "INT"


def test_a_command_reaches_the_shell_as_the_procfile_has_it(data: Path) -> None:
    for process in processes.wanted(read(data)):
        written = supervised(data)[f"program:{process.name}"]["command"].replace("%%", "%")
        assert shlex.split(written)[-1] == f"exec {process.command}"


def test_all_addresses_follow_the_port(data: Path) -> None:
    found = read(data, BERTH_PORT="9100")
    assert found.addresses == {
        "gateway": ("127.0.0.1", 9100),
        "web": ("127.0.0.1", 9101),
        "live": ("127.0.0.1", 9102),
        "relay": ("127.0.0.1", 9103),
        "files": ("127.0.0.1", 9105),
        "ssh": ("127.0.0.1", 9104),
        "services": ("127.0.0.1", 9106),
    }
    assert found.settings["BERTH_PORTAL_URL"] == "http://localhost:9100"
    assert found.settings["BERTH_WORKSPACE_URL"] == "http://{id}.localhost:9100/"


def test_the_services_door_can_be_left_out(data: Path) -> None:
    assert "services" not in read(data, BERTH_SERVICES_PORT="0").addresses


def test_what_is_set_outside_wins(data: Path) -> None:
    found = read(data, BERTH_PORT="9100", BERTH_PORTAL_URL="https://berth.example.org", BERTH_CURRENCY="CHF")
    assert found.settings["BERTH_PORTAL_URL"] == "https://berth.example.org"
    assert found.settings["BERTH_CURRENCY"] == "CHF"


def test_secrets_are_made_once_and_only_this_account_reads_them(data: Path) -> None:
    read(data)
    first = {name: (data / name).read_text() for name in ("secret-key", "instance")}
    configuration.write_environment(read(data))
    assert {name: (data / name).read_text() for name in first} == first
    for name in (*first, "environment"):
        assert (data / name).stat().st_mode & 0o077 == 0
    assert first["secret-key"] not in (data / "environment").read_text()


def test_a_given_secret_is_not_made_again(data: Path) -> None:
    found = read(data, BERTH_SECRET_KEY_FILE="/run/secrets/key", BERTH_INSTANCE="blue")
    assert not (data / "secret-key").exists()
    assert found.settings["BERTH_SECRET_KEY_FILE"] == "/run/secrets/key"
    assert "BERTH_INSTANCE_FILE" not in found.settings


def test_a_company_certificate_named_for_other_programs_serves_berth_too(data: Path) -> None:
    assert read(data, PIP_CERT="/etc/ssl/company.crt").settings["BERTH_CA_BUNDLE"] == "/etc/ssl/company.crt"
    assert "BERTH_CA_BUNDLE" not in read(data).settings


def test_the_lock_file_can_leave_packages_out() -> None:
    lock = "alpha==1 \\\n    --hash=sha256:aa\n    # via beta\npgserver==0.1 \\\n    --hash=sha256:bb\nzeta==2\n"
    kept = python_environment.without(lock, ("pgserver",))
    assert kept == "alpha==1 \\\n    --hash=sha256:aa\n    # via beta\nzeta==2\n"
