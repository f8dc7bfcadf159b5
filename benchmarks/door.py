"""`door`: requests a second through nginx, configurable-http-proxy and Berth's gateway to the same small answer."""

import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import requests

from benchmarks import berth, peers
from benchmarks.berth import Berth
from benchmarks.processes import free_ports, running
from benchmarks.rounds import Result, take_turns
from deploy.machine import Need, command_missing, install
from deploy.screen import Stopped
from portal.gateway.nginx import program

NGINX, PROXY, BERTH = "nginx, which lets everybody in", "configurable-http-proxy, likewise", "Berth"
PARALLEL = ["--threads", "2", "--connections", "16"]
BODY = '{"padding": "' + "-" * 185 + '"}'
CARRIERS = ("postgres", "redis", "web", "live", "relay", "gateway")
"""The processes that a request passes; no workspace is ever started here, so none that start some."""
