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

    def add_image(self, name: str, program: Path) -> str:
        """An image that has `program` as /opt/program; its reference by digest."""
        layers = [*self._layers, self._keep(_layer_of(program, name))]
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Env": ["PATH=/usr/bin:/bin"], "Entrypoint": ["python3", "-u", "/opt/program"]},
            "rootfs": {"type": "layers", "diff_ids": [digest for digest, _ in layers]},
        }
        described = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": _description(CONFIG, self._keep(io.BytesIO(json.dumps(config).encode()))),
            "layers": [_description(LAYER, layer) for layer in layers],
        }
        digest, _ = self._keep(io.BytesIO(json.dumps(described).encode()))
        return f"{self.address}/{name}@{digest}"

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
    """What an engine asks of a registry for a pull by digest."""

    protocol_version = "HTTP/1.1"
    folder: Path

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        _, _, *parts = self.path.split("/")
        found = self.folder / "blobs" / parts[-1] if parts[-1].startswith("sha256:") else None
        if parts in ([], [""]):
            self._start(200, 2, "application/json")
            self.wfile.write(b"{}")
        elif found is None or not found.exists():
            self._start(404, 0, "application/json")
        else:
            self._start(200, found.stat().st_size, MANIFEST if parts[-2] == "manifests" else LAYER)
            if self.command == "GET":
                self._send(found, slow=parts[0].startswith("slow") and parts[-2] == "blobs")

    def _start(self, status: int, length: int, kind: str) -> None:
        self.send_response(status)
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
