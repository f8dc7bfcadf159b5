"""The image verbs of the local driver: an image is a Python virtual environment."""

import hashlib
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from runtimes.base import EngineRefused, ImageInfo, OnProgress, Progress
from runtimes.local_shim import write_whole

_HOUR = 3600.0
_LAST_LINES = 20


class LocalImages:
    """Environments under `root/images`, named by the digest of their requirements; tags point at them."""

    def __init__(self, root: Path, ca_bundle: Path | None, pip_index_url: str) -> None:
        self._root = root
        self._mirror = {"PIP_INDEX_URL": pip_index_url} if pip_index_url else {}
        self._ca_bundle = ca_bundle
        for name in ("images", "tags"):
            (root / name).mkdir(parents=True, exist_ok=True)

    def find_image(self, reference: str) -> ImageInfo | None:
        tag = self._root / "tags" / quote(reference, safe="")
        image = tag.read_text() if tag.exists() else reference
        try:
            found = json.loads((self.environment_of(image) / "image.json").read_text())
        except FileNotFoundError:
            return None
        return ImageInfo(image, found["size"], datetime.fromisoformat(found["created_at"]))

    def pull_image(self, reference: str, on_progress: OnProgress) -> ImageInfo:
        raise EngineRefused("This machine has no container engine, so it cannot pull images.")

    def resolve_image(self, tag: str) -> str:
        raise EngineRefused("This machine has no container engine, so it cannot ask a registry for images.")

    def import_image(self, tag: str, tar: BinaryIO) -> ImageInfo:
        raise EngineRefused("This machine has no container engine, so it cannot import images.")

    def build_image(self, tag: str, context: Path, on_progress: OnProgress) -> ImageInfo:
        """Installs `requirements.txt` of the context; a Dockerfile beside it is not read."""
        requirements = context / "requirements.txt"
        if not requirements.exists():
            raise EngineRefused(
                "It needs a container engine, and this machine has none: without one, only what a requirements.txt "
                "describes can run."
            )
        image = "sha256:" + hashlib.sha256(sys.version.encode() + requirements.read_bytes()).hexdigest()
        if self.find_image(image) is None:
            self._install(image, requirements, on_progress)
        (self._root / "tags" / quote(tag, safe="")).write_text(image)
        found = self.find_image(image)
        assert found is not None
        return found

    def remove_image(self, reference: str) -> None:
        """The environment goes with the last tag that points at it."""
        found, tags = self.find_image(reference), self._root / "tags"
        (tags / quote(reference, safe="")).unlink(missing_ok=True)
        if found and all(tag.read_text() != found.id for tag in tags.iterdir()):
            shutil.rmtree(self.environment_of(found.id), ignore_errors=True)

    def environment_of(self, image: str) -> Path:
        return self._root / "images" / quote(image.removeprefix("sha256:"), safe="")

    def clean_environment(self) -> dict[str, str]:
        """The caller's own variables hold its secrets: nothing of them is passed on."""
        bundle = str(self._ca_bundle) if self._ca_bundle else ""
        trust = {name: bundle for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT") if bundle}
        return {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", **trust}

    def _install(self, image: str, requirements: Path, on_progress: OnProgress) -> None:
        folder = self.environment_of(image)
        shutil.rmtree(folder, ignore_errors=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input"]
        try:
            self._run([sys.executable, "-m", "venv", str(folder)], on_progress)
            self._run([*pip, "install", "--no-deps", "-r", str(requirements)], on_progress)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        write_whole(folder / "image.json", {"size": size, "created_at": datetime.now(UTC).isoformat()})

    def _run(self, command: list[str], on_progress: OnProgress) -> None:
        last: list[str] = []
        with closing(self._output(command)) as lines:
            for line in lines:
                last = [*last[1 - _LAST_LINES :], line]
                on_progress(Progress(None, line))
        if last and last[-1].startswith("exit "):
            raise EngineRefused("\n".join(["The environment could not be made.", *last[:-1]]))

    def _output(self, command: list[str]) -> Generator[str, None, None]:
        """Lines as they come, and `exit N` as the last one of a failure; killed after an hour or on close."""
        environment = self.clean_environment() | self._mirror | {"HOME": str(self._root)}
        with subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            timer = threading.Timer(_HOUR, process.kill)
            timer.start()
            try:
                for line in process.stdout or ():
                    yield line.rstrip()[:500]
                if process.wait():
                    yield f"exit {process.returncode}"
            finally:
                timer.cancel()
                process.kill()
