"""Loaded before Django's settings are read: every process that runs tests has a PostgreSQL and a Redis of its own.

So two of them (`-n 2`) meet neither in a table nor in a channel; what comes after the tests finds neither server."""

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from deploy.services import temporary


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    spreads = early_config.known_args_namespace.numprocesses
    if "PYTEST_XDIST_WORKER" in os.environ or not spreads:
        servers = ExitStack()
        os.environ.update(servers.enter_context(temporary()))
        early_config.add_cleanup(servers.close)
    yield
