"""Building, importing and pulling images on a real engine, the pull from a real, if tiny, registry."""

import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from runtimes.base import EngineRefused, Progress, Runtime
from runtimes.docker import DockerRuntime
from tests.contract.names import BASE_IMAGE, INSTANCE, NEIGHBOUR, MakeSpec, Until

pytestmark = pytest.mark.docker

TAG = f"{INSTANCE}:built"


class _Cancelled(Exception):
    pass


def _layer(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def test_a_build_tells_its_steps(docker_runtime: DockerRuntime, docker_image: str, engine: Any, tmp_path: Path) -> None:
    hello = f"hello from the build {uuid4()}"
    (tmp_path / "Dockerfile").write_text(f"FROM {BASE_IMAGE}\nCOPY . /built\nRUN echo {hello}\n")
    seen: list[Progress] = []
    image = docker_runtime.build_image(TAG, tmp_path, seen.append)
    fractions = [one.fraction for one in seen if one.fraction is not None]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert fractions[-1] > 0.5
    assert hello in [one.message for one in seen]
    assert docker_runtime.find_image(TAG) == docker_runtime.find_image(image.id) == image
    assert image.size > 0
    assert engine.inspect_image(TAG)["Config"]["Labels"]["berth.instance"] == INSTANCE


@pytest.mark.parametrize("certificates", ["", "-----BEGIN CERTIFICATE-----\n"])
def test_the_context_holds_the_certificates_and_not_what_is_ignored(
    docker_runtime: DockerRuntime, docker_image: str, tmp_path: Path, make_spec: MakeSpec, certificates: str
) -> None:
    bundle, context = tmp_path / "bundle.pem", tmp_path / "context"
    bundle.write_text(certificates)
    (context / "secret").mkdir(parents=True)
    (context / "secret" / "key").write_text("k")
    (context / "kept").write_text("k")
    (context / ".dockerignore").write_text("# not for images\nsecret\n\n")
    (context / "Dockerfile").write_text(f"FROM {BASE_IMAGE}\nCOPY . /built\n")
    builder = DockerRuntime(INSTANCE, ca_bundle=bundle if certificates else None)
    image = builder.build_image(TAG, context, lambda progress: None)
    code = "import os; print(sorted(os.listdir('/built')), repr(open('/built/company-ca.crt').read()))"
    spec = make_spec(docker_runtime, command=("python3", "-c", code), image=image.id)
    docker_runtime.ensure(spec)
    names = [".dockerignore", "Dockerfile", "company-ca.crt", "kept"]
    text = next(docker_runtime.logs(spec.name, None, follow=True)).text
    assert text == f"{names} {certificates!r}"
    docker_runtime.remove(spec.name)


def test_a_failed_build_tells_its_last_lines(docker_runtime: DockerRuntime, docker_image: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {BASE_IMAGE}\nRUN echo the reason && exit 9\n")
    with pytest.raises(EngineRefused, match=r"(?s)code: 9.*the reason"):
        docker_runtime.build_image(f"{INSTANCE}:failed", tmp_path, lambda progress: None)
    assert docker_runtime.find_image(f"{INSTANCE}:failed") is None


def test_a_dockerfile_that_is_none_is_refused(docker_runtime: DockerRuntime, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("NOT A DOCKERFILE\n")
    with pytest.raises(EngineRefused):
        docker_runtime.build_image(f"{INSTANCE}:failed", tmp_path, lambda progress: None)


@pytest.mark.parametrize("error", [_Cancelled("enough"), EngineRefused("enough")])
def test_progress_can_cancel_a_build(
    docker_runtime: DockerRuntime, docker_image: str, tmp_path: Path, error: Exception
) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {BASE_IMAGE}\nRUN sleep 20 && echo {type(error).__name__}\n")

    def cancel(progress: Progress) -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        docker_runtime.build_image(f"{INSTANCE}:cancelled", tmp_path, cancel)
    assert raised.value is error


def test_a_cancelled_build_stops_on_the_engine(
    docker_runtime: DockerRuntime, docker_image: str, engine: Any, tmp_path: Path, until: Until
) -> None:
    mark = f"sleep 3600 && echo {INSTANCE}"
    (tmp_path / "Dockerfile").write_text(f"FROM {BASE_IMAGE}\nRUN {mark}\n")

    def running() -> list[Any]:
        return [one for one in engine.containers() if mark in one["Command"]]

    def cancel(progress: Progress) -> None:
        if running():
            raise _Cancelled

    with pytest.raises(_Cancelled):
        docker_runtime.build_image(f"{INSTANCE}:cancelled", tmp_path, cancel)
    until(lambda: not running())


def test_a_removed_image_is_gone_and_one_in_use_or_of_another_stays(
    docker_runtime: DockerRuntime, docker_image: str, tmp_path: Path, make_spec: MakeSpec
) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {BASE_IMAGE}\nRUN echo {INSTANCE} > /removable\n")
    name = f"{INSTANCE}:removable"
    image = docker_runtime.build_image(name, tmp_path, lambda progress: None)
    spec = make_spec(docker_runtime, command=("sleep", "60"), image=image.id)
    docker_runtime.ensure(spec)
    with pytest.raises(EngineRefused, match="us"):
        docker_runtime.remove_image(name)
    assert docker_runtime.find_image(name) == image
    docker_runtime.remove(spec.name)
    with pytest.raises(EngineRefused, match="another Berth"):
        DockerRuntime(NEIGHBOUR).remove_image(name)
    for _ in range(2):
        docker_runtime.remove_image(name)
        assert docker_runtime.find_image(name) is None


def test_an_import_makes_an_image_of_one_layer(docker_runtime: DockerRuntime, engine: Any) -> None:
    image = docker_runtime.import_image(f"{INSTANCE}:imported", io.BytesIO(_layer(hello=b"world")))
    assert docker_runtime.find_image(f"{INSTANCE}:imported") == image
    found = engine.inspect_image(image.id)
    assert len(found["RootFS"]["Layers"]) == 1
    assert found["Config"]["Labels"] == {"berth.instance": INSTANCE}


def test_an_import_of_no_tar_is_refused(docker_runtime: DockerRuntime) -> None:
    with pytest.raises(EngineRefused):
        docker_runtime.import_image(f"{INSTANCE}:bad", io.BytesIO(b"this is no tar " * 100))


class _Registry(BaseHTTPRequestHandler):
    """Serves one image of one layer, as the distribution protocol asks."""

    blobs: dict[str, bytes] = {}
    manifest = b""
    kind = "application/vnd.docker.distribution.manifest.v2+json"

    def do_GET(self) -> None:
        if self.path == "/v2/":
            self._answer(b"{}", "application/json")
        elif self.path.startswith("/v2/tiny/manifests/"):
            self._answer(self.manifest, self.kind)
        elif (digest := self.path.rpartition("/")[2]) in self.blobs:
            self._answer(self.blobs[digest], "application/octet-stream")
        else:
            reason = {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "there is no such image here"}]}
            self._answer(json.dumps(reason).encode(), "application/json", 404)

    do_HEAD = do_GET

    def _answer(self, body: bytes, kind: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Docker-Content-Digest", _digest(body))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


def _digest(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


@pytest.fixture
def registry() -> Iterator[str]:
    layer = _layer(hello=bytes(3_000_000) + INSTANCE.encode())
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": {"berth.instance": INSTANCE}},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        }
    ).encode()
    _Registry.blobs = {_digest(body): body for body in (layer, config)}
    parts = [
        {"mediaType": kind, "size": len(body), "digest": _digest(body)}
        for kind, body in (
            ("application/vnd.docker.container.image.v1+json", config),
            ("application/vnd.docker.image.rootfs.diff.tar", layer),
        )
    ]
    manifest = {"schemaVersion": 2, "mediaType": _Registry.kind, "config": parts[0], "layers": parts[1:]}
    _Registry.manifest = json.dumps(manifest).encode()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Registry) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("by", ["tag", "digest"])
def test_a_pull_tells_how_far_it_is(docker_runtime: DockerRuntime, registry: str, by: str) -> None:
    reference = f"{registry}/tiny:1" if by == "tag" else f"{registry}/tiny@{_digest(_Registry.manifest)}"
    seen: list[Progress] = []
    image = docker_runtime.pull_image(reference, seen.append)
    fractions = [one.fraction for one in seen if one.fraction is not None]
    assert fractions == sorted(fractions)
    assert all(0 <= fraction <= 1 for fraction in fractions)
    assert seen[-1].message
    assert docker_runtime.find_image(reference) == image
    docker_runtime.pull_image(reference, seen.append)


def test_a_tag_is_resolved_to_what_the_registry_has_now(docker_runtime: DockerRuntime, registry: str) -> None:
    reference = docker_runtime.resolve_image(f"{registry}/tiny:1")
    assert reference == f"{registry}/tiny@{_digest(_Registry.manifest)}"
    assert docker_runtime.pull_image(reference, lambda progress: None).id
    with pytest.raises(EngineRefused, match="no such image here"):
        docker_runtime.resolve_image(f"{registry}/other:1")
    with pytest.raises(EngineRefused):
        docker_runtime.resolve_image("127.0.0.1:1/tiny:1")


def test_a_pull_that_fails_tells_the_registrys_reason(docker_runtime: DockerRuntime, registry: str) -> None:
    with pytest.raises(EngineRefused, match="no such image here"):
        docker_runtime.pull_image(f"{registry}/other:1", lambda progress: None)
    with pytest.raises(EngineRefused, match="refused"):
        docker_runtime.pull_image("127.0.0.1:1/tiny:1", lambda progress: None)


def test_an_unknown_image_is_not_found(docker_runtime: Runtime) -> None:
    assert docker_runtime.find_image("no-such-image:1") is None
    assert docker_runtime.find_image("sha256:" + "d" * 64) is None
