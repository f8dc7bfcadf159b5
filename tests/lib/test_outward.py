"""Requests to addresses that people gave: where they may lead, whatever names and servers answer."""

import itertools
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from portal.lib import outward
from portal.lib.outward import LATE, Refused, is_public, post, target
from tests.notices.receiver import Receiver, listening, make_certificate


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening() as found:
        yield found


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return make_certificate(tmp_path / "hooks.pem", "localhost", "hooks.test")


def why(url: str, *allowed: str, ca_bundle: str = "") -> str:
    with pytest.raises(Refused) as refused:
        post(url, b"{}", {}, allowed, ca_bundle)
    return str(refused.value)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254",
        "224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "::", "::1", "fe80::1", "fe80::1%eth0", "fd00::1",
        "fec0::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::a00:1",
        "2002:7f00:1::", "2001:0:7f00:1::", "2001:db8::1", "fd00:ec2::254",
    ],
)  # fmt: skip
def test_what_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.215.14", "2606:4700:4700::1111", "::ffff:1.1.1.1"])
def test_what_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/", "https://[::1]/", "https://169.254.169.254/latest/meta-data/", "https://10.0.0.8:8443/x",
        "https://[::ffff:10.0.0.1]/", "https://0.0.0.0/", "https://192.168.0.1/", "https://[fd00:ec2::254]/",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public_are_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(Refused, match="not lead to a public address"):
        target(url, ())


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "LOCALHOST"])
def test_names_that_lead_inside_are_refused(receiver: Receiver, host: str) -> None:
    assert "does not lead to a public address" in why(f"https://{host}:{receiver.port}/")
    assert receiver.got == []


@pytest.mark.parametrize(
    "url",
    [
        "", "hooks.example.org", "ftp://example.org/", "file:///etc/passwd", "https://", "https:///x", "https://a b/",
        "https://example.org/a b", "https://example.org/\n", "https://exämple.org/", "https://example.org:0/",
        "https://example.org:99999/", "https://example.org:x/", "https://[::1/", "https://[fe80::1%25eth0]/",
        "https://a@example.org/", "https://a:b@example.org/", "https://example.org\\@127.0.0.1/",
        "https://example.org/#x", "gopher://127.0.0.1:6379/_PING", "javascript:alert(1)",
    ],
)  # fmt: skip
def test_what_is_no_whole_address_is_refused(url: str) -> None:
    with pytest.raises(Refused, match=r"^Use a"):
        target(url, ())


def test_plain_http_is_for_hosts_that_an_administrator_allows(receiver: Receiver) -> None:
    assert why("http://example.org/") == "Use an address that begins with https://."
    assert why(receiver.url, "127.0.0.1:1", "localhost") == "Use an address that begins with https://."
    post(receiver.url, b"{}", {}, [receiver.host])
    post(receiver.url, b"{}", {}, ["127.0.0.1"])
    assert [got.body for got in receiver.got] == [b"{}"] * 2


def test_over_tls_the_certificate_has_to_be_that_of_the_name(certificate: Path, tmp_path: Path) -> None:
    with listening(certificate=certificate) as found:
        url = f"https://localhost:{found.port}/hook"
        post(url, b"{}", {}, ["localhost"], str(certificate))
        assert "certificate is not valid" in why(url, "localhost")
        assert "certificate is not valid" in why(found.url, "127.0.0.1", ca_bundle=str(certificate))
        other = make_certificate(tmp_path / "other.pem", "localhost")
        assert "certificate is not valid" in why(url, "localhost", ca_bundle=str(other))
    assert len(found.got) == 1


def test_a_name_that_answers_otherwise_the_second_time_leads_nowhere_else(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rebinding: first an address outside, played by 127.0.0.2, then one inside."""
    ask, answers = socket.getaddrinfo, iter(["127.0.0.2"])

    def rebinding(host: Any, *args: Any, **more: Any) -> Any:
        return ask(next(answers, "127.0.0.1") if host == "hooks.test" else host, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    monkeypatch.setattr(outward, "is_public", lambda address: address == "127.0.0.2")
    with (
        listening("127.0.0.2", certificate=certificate) as outside,
        listening("127.0.0.1", port=outside.port, certificate=certificate) as inside,
    ):
        url = f"https://hooks.test:{outside.port}/"
        post(url, b"{}", {}, (), str(certificate))
        assert (len(outside.got), len(inside.got)) == (1, 0)
        assert "does not lead to a public address" in why(url, ca_bundle=str(certificate))
        assert (len(outside.got), len(inside.got)) == (1, 0)


def test_a_name_with_one_address_inside_is_refused_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(2, 1, 6, "", (address, 443)) for address in ("1.1.1.1", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: found)
    assert "does not lead to a public address" in why("https://hooks.test/")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(receiver: Receiver, status: int) -> None:
    with listening() as inside:
        receiver.answers, receiver.location = [status], inside.url
        assert why(receiver.url, receiver.host) == f"It answered {status}; redirects are not followed."
        assert (len(receiver.got), inside.got) == (1, [])


@pytest.mark.parametrize("status", [400, 401, 404, 410, 429, 500, 503])
def test_any_other_answer_is_a_refusal_with_its_status(receiver: Receiver, status: int) -> None:
    receiver.answers = [status]
    assert why(receiver.url, receiver.host) == f"It answered {status}."


def test_what_it_says_beside_the_status_is_not_waited_for_and_not_shown(receiver: Receiver) -> None:
    endless = itertools.repeat(b"secret " * 1000)
    receiver.raw = itertools.chain([b"HTTP/1.1 500 secret\r\nX-Secret: 1\r\n\r\n"], endless)
    assert why(receiver.url, receiver.host) == "It answered 500."
    receiver.raw = itertools.chain([b"HTTP/1.1 200 OK\r\n\r\n"], endless)
    post(receiver.url, b"{}", {}, [receiver.host])


def drops() -> Iterator[bytes]:
    """A byte now and then, so that no single read is ever late."""
    yield b"HTTP/1.1 200 OK\r\nX: "
    while True:
        time.sleep(0.05)
        yield b"x"


def silence() -> Iterator[bytes]:
    while True:
        time.sleep(0.05)
        yield b""


@pytest.mark.parametrize("raw", [drops(), silence()], ids=["drops", "silence"])
def test_who_is_slow_is_cut_off(receiver: Receiver, raw: Iterator[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outward, "SECONDS", 0.5)
    receiver.raw = raw
    assert why(receiver.url, receiver.host) == LATE


def test_who_never_ends_the_tls_greeting_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outward, "SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        assert why(f"https://127.0.0.1:{port}/", "127.0.0.1") == LATE


def test_garbage_and_silence_are_broken_connections(receiver: Receiver) -> None:
    for raw in (b"garbage\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 200 + b"\r\n"):
        receiver.raw = iter([raw])
        assert why(receiver.url, receiver.host) == "The connection broke."


def test_an_unknown_name_is_said_to_be_unknown() -> None:
    assert why("https://hooks.invalid/") == "Its name is not known."
