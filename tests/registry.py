"""A container registry on this machine: real pulls by digest, of images made here, without any network.

`python tests/registry.py FOLDER PORT` serves it. While FOLDER/hold exists, the layers of images whose name begins
with `slow` stop half-way: a registry that has accepted and never answers."""

import hashlib
import io
import json
import shutil
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
PIECE = 1024 * 1024


class Registry:
    """The content: a base image out of the engine, and images of one more file each on top of it."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder, self.address = folder, address
        (folder / "blobs").mkdir(parents=True)
        self._layers: list[tuple[str, int]] = []

    def add_base(self, saved: Path) -> None:
        """Keep the layers of what `docker save` wrote."""
        with tarfile.open(saved) as archive:
            [described] = json.loads(_member(archive, "manifest.json").read())
            for name in described["Layers"]:
                self._layers.append(self._keep(_member(archive, name)))

    def add_image(self, name: str, program: Path, **changes: Any) -> str:
        """An image that runs `program`, /opt/program, or as `changes` to its configuration say; its reference."""
        layers = [*self._layers, self._keep(_layer_of(program, name))]
        runs = {"Env": ["PATH=/usr/bin:/bin"], "Entrypoint": ["python3", "-u", "/opt/program"]}
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": runs | changes,
            "rootfs": {"type": "layers", "diff_ids": [digest for digest, _ in layers]},
        }
        return self._describe(name, self._keep(io.BytesIO(json.dumps(config).encode())), layers)

    def add_saved(self, name: str, saved: Path) -> str:
        """An image as `docker save` wrote it; its reference by digest."""
        with tarfile.open(saved) as archive:
            [described] = json.loads(_member(archive, "manifest.json").read())
            layers = [self._keep(_member(archive, layer)) for layer in described["Layers"]]
            return self._describe(name, self._keep(_member(archive, described["Config"])), layers)

    def _describe(self, name: str, config: tuple[str, int], layers: list[tuple[str, int]]) -> str:
        described = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": _description(CONFIG, config),
            "layers": [_description(LAYER, layer) for layer in layers],
        }
        digest, _ = self._keep(io.BytesIO(json.dumps(described).encode()))
        return f"{self.address}/{name}@{digest}"

    def tag(self, tag: str, reference: str) -> str:
        """Let `tag` mean that image from now on; how it is pulled by that tag."""
        name, _, digest = reference.partition("@")
        (self.folder / "blobs" / tag).write_text(digest)
        return f"{name}:{tag}"

    @contextmanager
    def without(self, reference: str) -> Iterator[None]:
        """In here the registry does not know that image."""
        manifest = self.folder / "blobs" / reference.partition("@")[2]
        away = manifest.rename(self.folder / "away")
        try:
            yield
        finally:
            away.rename(manifest)

    def hold(self) -> None:
        (self.folder / "hold").touch()

    def let_go(self) -> None:
        (self.folder / "hold").unlink(missing_ok=True)

    def _keep(self, content: IO[bytes]) -> tuple[str, int]:
        """Store it under its SHA-256; that and its size."""
        partial = self.folder / "partial"
        sha, size = hashlib.sha256(), 0
        with partial.open("wb") as target:
            while piece := content.read(PIECE):
                sha.update(piece)
                size += target.write(piece)
        digest = f"sha256:{sha.hexdigest()}"
        partial.rename(self.folder / "blobs" / digest)
        return digest, size


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    found = archive.extractfile(name)
    assert found is not None, name
    return found


def _layer_of(program: Path, name: str) -> IO[bytes]:
    """A tar of the program; the image's name is in it, so that each has a layer of its own to fetch."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(program, "opt/program")
        text = f"{name}\n".encode() * 100_000
        about = tarfile.TarInfo("opt/about")
        about.size = len(text)
        tar.addfile(about, io.BytesIO(text))
    buffer.seek(0)
    return buffer


def _description(kind: str, kept: tuple[str, int]) -> dict[str, Any]:
    return {"mediaType": kind, "digest": kept[0], "size": kept[1]}


class Door(BaseHTTPRequestHandler):
    """What an engine asks of a registry for a pull by digest, and for what a tag means."""

    protocol_version = "HTTP/1.1"
    folder: Path

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        _, _, *parts = self.path.split("/")
        found = self.folder / "blobs" / parts[-1] if parts[-1:] != [""] and len(parts) > 1 else None
        if found and found.exists() and not found.name.startswith("sha256:"):
            found = found.with_name(found.read_text())  # a tag
        if parts in ([], [""]):
            self._start(200, 2, "application/json")
            self.wfile.write(b"{}")
        elif found is None or not found.exists():
            self._start(404, 0, "application/json")
        else:
            self._start(200, found.stat().st_size, MANIFEST if parts[-2] == "manifests" else LAYER, found.name)
            if self.command == "GET":
                self._send(found, slow=parts[0].startswith("slow") and parts[-2] == "blobs")

    def _start(self, status: int, length: int, kind: str, digest: str = "") -> None:
        self.send_response(status)
        if digest:
            self.send_header("Docker-Content-Digest", digest)
        self.send_header("Content-Length", str(length))
        self.send_header("Content-Type", kind)
        self.end_headers()

    def _send(self, found: Path, slow: bool) -> None:
        with found.open("rb") as content:
            self.wfile.write(content.read(found.stat().st_size // 2))
            while slow and (self.folder / "hold").exists():
                time.sleep(0.1)
            shutil.copyfileobj(content, self.wfile)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


if __name__ == "__main__":
    Door.folder = Path(sys.argv[1])
    ThreadingHTTPServer(("0.0.0.0", int(sys.argv[2])), Door).serve_forever()
