"""The drivers by name. To drop one, delete its files and its line here."""

from importlib import import_module
from typing import Any, cast

from runtimes.base import Runtime

KINDS: dict[str, str] = {
    "docker": "runtimes.docker.DockerRuntime",
    "local": "runtimes.local.LocalRuntime",
    "fake": "runtimes.fake.FakeRuntime",
}


def make(kind: str, **options: Any) -> Runtime:
    """The driver of that kind; `options` are its constructor's. Raises ValueError for an unknown kind."""
    if kind not in KINDS:
        raise ValueError(f"Unknown runtime {kind!r}: choose one of {', '.join(KINDS)}.")
    module, _, name = KINDS[kind].rpartition(".")
    return cast(Runtime, getattr(import_module(module), name)(**options))
