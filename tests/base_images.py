"""Images that tests build on: pulled where a registry has them, else made once per machine from packages of Debian."""

import os
import subprocess
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from deploy.configuration import ca_bundle
from environments import contexts
from environments.contexts import DEBIAN
from runtimes.base import EngineRefused, ImageInfo
from runtimes.docker import DockerRuntime
from tests.contract.names import BASE_IMAGE


def debian() -> ImageInfo:
    """What the standard environments and Berth's own image start from."""
    engine = DockerRuntime("berth-test")
    if found := engine.find_image(DEBIAN):
        return found
    try:
        return engine.pull_image(DEBIAN, lambda progress: None)
    except EngineRefused:
        return _made(engine, DEBIAN, "ca-certificates")


def with_python() -> ImageInfo:
    """A small Debian with Python."""
    engine = DockerRuntime("berth-test")
    return engine.find_image(BASE_IMAGE) or _made(engine, BASE_IMAGE, "python3-minimal,ca-certificates")


def standard(context: str) -> ImageInfo:
    """One of `images/`, as Berth builds it on this machine; kept under the name of its content."""
    bundle = ca_bundle(os.environ)
    engine = DockerRuntime("berth-test", ca_bundle=Path(bundle) if bundle else None)
    reference = contexts.reference_of(context)
    if found := engine.find_image(reference):
        return found
    debian()
    with contexts.prepared(context) as folder:
        return engine.build_image(reference, folder, lambda progress: None)


def _made(engine: DockerRuntime, tag: str, packages: str) -> ImageInfo:
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}", "bookworm", "-"]
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE) as made:
            return engine.import_image(tag, cast(BinaryIO, made.stdout))
    except FileNotFoundError:
        pytest.fail(f"mmdebstrap is missing: install it to make {tag}, which tests build on.")
