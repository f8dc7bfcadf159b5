"""A git server over TLS, with a certificate of its own: repositories that tests make, as files for `git clone`."""

import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

COMMIT = ("-c", "user.name=Vera", "-c", "user.email=vera@example.org", "commit", "--quiet")


@dataclass(frozen=True)
class GitServer:
    folder: Path
    url: str
    certificate: str

    def add(self, name: str, **contents: str) -> str:
        """The address of a repository with one commit for each tag, which holds that content in `file`."""
        work = self.folder / f"{name}.work"
        git("init", "--quiet", "--initial-branch=main", str(work))
        for tag, content in contents.items():
            (work / "file").write_text(content)
            git("-C", str(work), "add", "file")
            git("-C", str(work), *COMMIT, "--message", tag)
            git("-C", str(work), "tag", tag)
        bare = self.folder / f"{name}.git"
        git("clone", "--quiet", "--bare", str(work), str(bare))
        git("-C", str(bare), "update-server-info")
        return f"{self.url}/{bare.name}"

    def commit(self, name: str, tag: str) -> str:
        """Of a tag of a repository that was added."""
        return git("-C", str(self.folder / f"{name}.git"), "rev-parse", tag).strip()


def git(*arguments: str) -> str:
    """What it says."""
    return subprocess.run(["git", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(address: str, folder: Path) -> Iterator[GitServer]:
    """One that listens at this address of the machine for the time of a block."""
    certificate, key = _certificate(address)
    (folder / "server.pem").write_text(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    shown = folder / "repositories"
    shown.mkdir()
    with ThreadingHTTPServer((address, 0), partial(Quiet, directory=str(shown))) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield GitServer(shown, f"https://{address}:{server.server_port}", certificate)
        server.shutdown()


def _certificate(address: str) -> tuple[str, str]:
    """For that address, signed by itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM).decode(), plain.decode()
