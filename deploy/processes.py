"""The list of processes, read from the Procfile, and the supervisor's configuration made from it."""

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from deploy.configuration import Configuration
from deploy.python_environment import ROOT
from deploy.sockets import run_directory

SERVICES = ("postgres", "redis")
STOP_SIGNAL = {"postgres": "INT"}
"""PostgreSQL's TERM waits for every client to leave; its INT ends their sessions."""
STOP_SECONDS = {"postgres": 60, "redis": 20, "worker": 12, "images": 5, "pulls": 5}
"""How long a process may take to end by itself. A task that is cut off is safe to run again."""


@dataclass(frozen=True)
class Process:
    name: str
    command: str


def read_procfile(text: str) -> list[Process]:
    """One process a line, `name: command`, in the order in which they start."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    pairs = [line.partition(":") for line in lines]
    return [Process(name.strip(), command.strip()) for name, _, command in pairs]


def wanted(configuration: Configuration) -> list[Process]:
    """All of the Procfile, less the services that run elsewhere."""
    processes = read_procfile(configuration.procfile.read_text())
    return [process for process in processes if process.name not in SERVICES or process.name in configuration.embedded]


def socket_path(data: Path) -> Path:
    return run_directory(data) / "supervisor.sock"


def supervisor_configuration(configuration: Configuration) -> str:
    sections = [_supervisor(configuration)]
    for position, process in enumerate(wanted(configuration), start=1):
        sections.append(_program(process, position, configuration.data))
    return "\n".join(sections)


def _supervisor(configuration: Configuration) -> str:
    data, run = configuration.data, run_directory(configuration.data)
    user = "user=root\n" if os.geteuid() == 0 else ""
    return f"""[supervisord]
nodaemon=true
{user}logfile={_literal(data / "log/supervisor.log")}
logfile_maxbytes=5MB
logfile_backups=1
pidfile={_literal(run / "supervisor.pid")}
childlogdir={_literal(data / "log")}

[unix_http_server]
file={_literal(socket_path(data))}
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://{_literal(socket_path(data))}
"""


def _program(process: Process, position: int, data: Path) -> str:
    """Started on request, restarted for ever; the kernel ends it when the supervisor itself is killed."""
    signal = STOP_SIGNAL.get(process.name, "TERM")
    command = ["setpriv", "--pdeathsig", signal, "/bin/sh", "-c", f"exec {process.command}"]
    return f"""[program:{process.name}]
command={_literal(shlex.join(command))}
directory={_literal(ROOT)}
priority={position}
autostart=false
autorestart=true
startsecs=1
startretries=8
stopsignal={signal}
stopwaitsecs={STOP_SECONDS.get(process.name, 8)}
killasgroup=true
redirect_stderr=true
stdout_logfile={_literal(data / "log" / f"{process.name}.log")}
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=3
"""


def _literal(value: object) -> str:
    return str(value).replace("%", "%%")
