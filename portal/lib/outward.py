"""Requests to addresses that people gave: to public hosts and allowed ones only, whatever their names lead to."""

import http.client
import re
import socket
import ssl
import time
from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from threading import Timer
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit

SECONDS = 10.0
"""For all of it, from the first packet to the status."""
MOST_ADDRESSES = 4
PORTS = {"http": 80, "https": 443}
HOST = re.compile(r"[a-z0-9_.:-]+")
UNICAST = IPv6Network("2000::/3")
S = TypeVar("S", bound=socket.socket)
LATE = f"It did not answer within {SECONDS:.0f} seconds."


class Refused(Exception):
    """One sentence for who gave the address: why it is not asked, or how it answered."""


@dataclass(frozen=True, slots=True)
class Target:
    """`allowed`: an administrator named it, so that it need be neither public nor https."""

    scheme: str
    host: str
    port: int
    path: str
    allowed: bool


def target(url: str, allowed: Collection[str]) -> Target:
    """Where `url` leads; `allowed` has hosts, with or without a port. Raises Refused."""
    parts = _parts(url)
    host, port = (parts.hostname or "").lower(), parts.port or PORTS[parts.scheme]
    named = host in allowed or f"{host}:{port}" in allowed
    if parts.scheme == "http" and not named:
        raise Refused("Use an address that begins with https://.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    found = Target(parts.scheme, host, port, path, named)
    if _is_address(host):
        _check(found, [host])
    return found


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        known = parts.scheme in PORTS and HOST.fullmatch((parts.hostname or "").lower()) and parts.port != 0
    except ValueError:
        known = None
    if not known or not url.isascii() or not url.isprintable() or " " in url:
        raise Refused("Use a whole address, such as https://hooks.example.org/berth.")
    if "@" in parts.netloc or parts.fragment:
        raise Refused("Use an address without user name, password and “#”.")
    return parts


def _is_address(host: str) -> bool:
    try:
        return bool(ip_address(host))
    except ValueError:
        return False


def is_public(address: str) -> bool:
    """Whether it is one host on the internet, and no wrapping of an address that may be none."""
    found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    if isinstance(found, IPv6Address):
        return found in UNICAST and found.is_global and not (found.sixtofour or found.teredo)
    return found.is_global and not found.is_multicast


def _check(found: Target, addresses: Collection[str]) -> None:
    if not found.allowed and not all(is_public(address) for address in addresses):
        raise Refused(f"{found.host} does not lead to a public address. An administrator can allow it.")


def post(url: str, body: bytes, headers: Mapping[str, str], allowed: Collection[str], ca_bundle: str = "") -> None:
    """Taken when the answer is 2xx; nothing but its status is read. Raises Refused. Follows no redirect."""
    with closing(_Connection(target(url, allowed), ca_bundle)) as connection:
        limit = Timer(SECONDS, connection.cut)
        limit.start()
        try:
            connection.request("POST", connection.target.path, body, dict(headers))
            with connection.getresponse() as answer:
                status = answer.status
            if connection.is_cut:
                raise TimeoutError  # what was cut off reads as if it had ended
        except (OSError, http.client.HTTPException) as error:
            raise Refused(_why(connection, error)) from error
        finally:
            limit.cancel()
    if 300 <= status < 400:
        raise Refused(f"It answered {status}; redirects are not followed.")
    if not 200 <= status < 300:
        raise Refused(f"It answered {status}.")


def _why(connection: "_Connection", error: Exception) -> str:
    if connection.is_cut or isinstance(error, TimeoutError):
        return LATE
    match error:
        case socket.gaierror():
            return "Its name is not known."
        case ssl.SSLCertVerificationError():
            return f"Its certificate is not valid: {error.verify_message}."
        case ConnectionRefusedError():
            return "Nothing listens there."
        case _:
            return "The connection broke."


class _Connection(http.client.HTTPConnection):
    """To an address that was looked at, so that a second answer of the name server cannot lead elsewhere."""

    def __init__(self, to: Target, ca_bundle: str) -> None:
        super().__init__(to.host, to.port, timeout=SECONDS)
        self.target, self.ca_bundle = to, ca_bundle
        self.default_port = PORTS[to.scheme]
        self.is_cut = False
        self.ends = time.monotonic() + SECONDS

    def connect(self) -> None:
        plain = self._held(self._reached())
        if self.target.scheme == "https":
            wrap = _context(self.ca_bundle).wrap_socket
            self._held(wrap(plain, server_hostname=self.target.host, do_handshake_on_connect=False)).do_handshake()

    def _held(self, sock: S) -> S:
        """From now on `cut` ends it; what it came too early for is ended here."""
        self.sock = sock
        if self.is_cut:
            raise TimeoutError
        return sock

    def _reached(self) -> socket.socket:
        """The first address that answers; one that is not public refuses them all."""
        found = socket.getaddrinfo(self.target.host, self.target.port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(where[0]) for *_, where in found))
        _check(self.target, addresses)
        failure: OSError = TimeoutError()
        for address in addresses[:MOST_ADDRESSES]:
            try:
                left = max(self.ends - time.monotonic(), 0.1)
                return socket.create_connection((address, self.target.port), timeout=left)
            except OSError as error:
                failure = error
        raise failure

    def cut(self) -> None:
        """End it from another thread, whatever it waits for."""
        self.is_cut = True
        if self.sock is not None:
            try:
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)
            except OSError:
                pass  # it has ended by itself


@cache
def _context(ca_bundle: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_bundle:
        context.load_verify_locations(ca_bundle)
    return context
