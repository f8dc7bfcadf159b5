"""Picks a small address range for each user's network out of one large range."""

import hashlib
import ipaddress
from collections.abc import Iterable, Iterator

_PREFIX = 28
"""Sixteen addresses: network, gateway, broadcast, and thirteen containers of one user."""


def candidates(networks: str, name: str, taken: Iterable[str]) -> Iterator[str]:
    """Free /28 ranges, always in the same order for one name, so that two who create it at once collide
    on the first range and notice each other, while different names rarely meet."""
    whole = ipaddress.IPv4Network(networks)
    count = 2 ** max(_PREFIX - whole.prefixlen, 0)
    used = [parsed for text in taken if (parsed := _parse(text)) is not None and parsed.overlaps(whole)]
    first = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    for step in range(count):
        start = int(whole.network_address) + ((first + step) % count) * 2 ** (32 - _PREFIX)
        subnet = ipaddress.IPv4Network((start, max(_PREFIX, whole.prefixlen)))
        if not any(subnet.overlaps(other) for other in used):
            yield str(subnet)


def _parse(text: str) -> ipaddress.IPv4Network | None:
    try:
        return ipaddress.IPv4Network(text, strict=False)
    except ValueError:
        return None
