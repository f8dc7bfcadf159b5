"""Keeps workspaces off the host and off private networks, by packet filter rules on their address range.

The engine itself separates users' networks from each other; what it leaves open is everything the host can
reach. Two chains of our own close it: one for what is forwarded, one for the host's own ports.
"""

import hashlib
import ipaddress
import socket
import subprocess
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from runtimes.base import EngineRefused, Runtime, RuntimeFailure, Spec

PRIVATE = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
)
METADATA = "169.254.169.254:80"
_JUMPS = {"out": "DOCKER-USER", "host": "INPUT"}
_RESOLV_CONF = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))
_LIMIT = 30


def apply(instance: str, networks: str, *, allow: Sequence[str] = (), deny: Sequence[str] = (), door: int = 0) -> None:
    """After it, nothing in `networks` can open a connection to the host, to a private range or to `deny`;
    the internet, DNS, the ranges in `allow` and the host's TCP port `door` (0: none) stay open. Applying again replaces
    the rules at one stroke.

    Raises EngineRefused, in one sentence, where this process may not or the engine has no DOCKER-USER chain.
    """
    whole = str(ipaddress.IPv4Network(networks))
    opened, closed = ([str(ipaddress.IPv4Network(one)) for one in ranges] for ranges in (allow, deny))
    _run("iptables-restore", "--wait", "--noflush", rules=_rules(instance, opened, [*PRIVATE, *closed], door))
    for part, parent in _JUMPS.items():
        jump = _jump(instance, part, whole)
        if not _succeeds("iptables", "--wait", "-C", parent, *jump):
            _run("iptables", "--wait", "-I", parent, "1", *jump)
    _drop_jumps(instance, keep=whole)


def remove(instance: str) -> None:
    """After it, no rule of this instance is left. Raises EngineRefused where this process may not."""
    _drop_jumps(instance, keep=None)
    for part in _JUMPS:
        chain = _chain(instance, part)
        if _succeeds("iptables", "--wait", "-n", "-L", chain):
            _run("iptables", "--wait", "-F", chain)
            _run("iptables", "--wait", "-X", chain)


def canary(runtime: Runtime, spec: Spec, targets: Iterable[str]) -> list[str]:
    """The `ip:port` targets, and the host itself, that a container made from `spec` can reach: should be [].

    Rules are silently ignored on some set-ups, so this is asked of a real container. The image needs bash.
    The host is tried on a port opened for this. Raises RuntimeFailure when the container gave no answer.
    """
    with socket.create_server(("0.0.0.0", 0)) as listener:
        tried = [*targets, METADATA, f"{_address_of_host()}:{listener.getsockname()[1]}"]
        try:
            runtime.ensure(replace(spec, command=("bash", "-c", _PROBE, "canary", *tried), port=None))
            lines = [line.text for line in runtime.logs(spec.name, None, follow=True)]
        finally:
            runtime.remove(spec.name)
    if "done" not in lines:
        raise RuntimeFailure(f"The isolation test gave no answer: {' '.join(lines[-3:]) or 'no output'}")
    return [target for target in tried if f"open {target}" in lines]


_PROBE = """
for target in "$@"; do
  timeout 3 bash -c ": </dev/tcp/${target%:*}/${target##*:}" 2>/dev/null && echo "open $target"
done
echo done
"""


def _rules(instance: str, allow: Sequence[str], closed: Sequence[str], door: int) -> str:
    out, host = _chain(instance, "out"), _chain(instance, "host")
    known = "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN"
    refuse = "-j REJECT --reject-with icmp-port-unreachable"
    dns = [f"-d {ip} -p {kind} --dport 53 -j RETURN" for ip in _resolvers() for kind in ("udp", "tcp")]
    opened = [*(f"-d {one} -j RETURN" for one in allow), *dns]
    forwarded = [known, *opened, *(f"-d {one} {refuse}" for one in closed)]
    doors = [f"-p tcp --dport {door} -j RETURN"] if door else []
    rows = [f":{out} - [0:0]", f":{host} - [0:0]"]
    rows += [f"-A {out} {rule}" for rule in forwarded]
    rows += [f"-A {host} {rule}" for rule in (known, *opened, *doors, refuse)]
    return "\n".join(["*filter", *rows, "COMMIT", ""])


def _resolvers() -> list[str]:
    """The engine's DNS asks these from inside the container's own network, so they must stay reachable."""
    found: list[str] = []
    for path in _RESOLV_CONF:
        with suppress(OSError):
            words = [line.split() for line in path.read_text().splitlines()]
            found += [row[1] for row in words if len(row) > 1 and row[0] == "nameserver" and ":" not in row[1]]
    return [ip for ip in dict.fromkeys(found) if not ip.startswith("127.")]


def _chain(instance: str, part: str) -> str:
    # A chain's name has at most 28 characters, an instance's may have more; the comment holds it whole.
    return f"BERTH-{hashlib.sha256(instance.encode()).hexdigest()[:12]}-{part}"


def _comment(instance: str) -> str:
    return f"berth-{instance}"


def _jump(instance: str, part: str, networks: str) -> list[str]:
    return ["-s", networks, "-m", "comment", "--comment", _comment(instance), "-j", _chain(instance, part)]


def _drop_jumps(instance: str, keep: str | None) -> None:
    for part, parent in _JUMPS.items():
        for row in _run("iptables", "--wait", "-S", parent).splitlines():
            words = row.split()
            ours = words[-1] == _chain(instance, part)
            if ours and (keep is None or keep not in words):
                _run("iptables", "--wait", "-D", *[word.strip('"') for word in words[1:]])


def _succeeds(*command: str) -> bool:
    try:
        _run(*command)
    except EngineRefused:
        return False
    return True


def _run(*command: str, rules: str | None = None) -> str:
    try:
        done = subprocess.run(
            command,
            input=rules,
            capture_output=True,
            text=True,
            timeout=_LIMIT,
            check=False,
            env=_ENVIRONMENT,
        )
    except FileNotFoundError:
        raise EngineRefused(f"Workspaces are not kept off private networks: {command[0]} is missing.") from None
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no reason given"])[0]
        raise EngineRefused(f"Workspaces are not kept off private networks: {command[0]} said: {said}")
    return done.stdout


_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"}


def _address_of_host() -> str:
    """The address that the host itself uses towards the internet; no packet is sent to learn it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("203.0.113.1", 9))
        return str(probe.getsockname()[0])
