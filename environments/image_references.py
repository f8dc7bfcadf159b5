"""How an image is named: by registry, path, and a tag or digest; and the patterns that names may fit."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

LONGEST = 220
"""Without the digest: name, tag and digest fit into what is kept of them."""
REFERENCE_LENGTH = 300
_HOST = r"(?:[a-z0-9]+(?:-+[a-z0-9]+)*)(?:\.[a-z0-9]+(?:-+[a-z0-9]+)*)*(?::\d{1,5})?"
_PART = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_WRITTEN = re.compile(
    rf"(?:(?P<host>{_HOST})/)??(?P<path>{_PART}(?:/{_PART})*)"
    r"(?P<tag>:\w[\w.-]{0,127})?(?P<digest>@sha256:[0-9a-f]{64})?",
    re.ASCII,
)
PATTERN = rf"^(?=localhost/|[^/]*[.:]){_HOST}/[a-z0-9._*/-]+(:[A-Za-z0-9_.*-]+)?(@sha256:[0-9a-f]{{64}})?$"
"""What the catalog may say: a reference with its registry, with `*` for anything but “/” and `**` for anything."""
EXAMPLE = "registry.example.org/team/train:2026-11"


@dataclass(frozen=True, slots=True)
class Reference:
    """`name` with its registry, and `:tag`, `@sha256:…` or both. Beside a digest a tag only tells people something."""

    name: str
    tag: str
    digest: str

    def __str__(self) -> str:
        return f"{self.name}{self.tag}{self.digest}"

    @property
    def label(self) -> str:
        """Short, and another one for each reference: names the image, and the version that stands for it."""
        last = re.sub(r"[^a-z0-9]+", "-", f"{self.name.rpartition('/')[2]}{self.tag}".lower())
        return f"{last[:27].strip('-')}-{hashlib.sha256(str(self).encode()).hexdigest()[:12]}"


def read(text: str) -> Reference | None:
    """What an engine would understand by it; None for what is no reference, or has neither tag nor digest."""
    found = _WRITTEN.fullmatch(text.strip())
    if found is None or not (found["tag"] or found["digest"]):
        return None
    host, slash, path = f"{found['host'] or ''}/{found['path']}".lstrip("/").partition("/")
    if not slash or not (re.search("[.:]", host) or host == "localhost"):
        host, path = "docker.io", f"{host}{slash}{path}"
    if host == "docker.io" and "/" not in path:
        path = f"library/{path}"
    asked = Reference(f"{host}/{path}", found["tag"] or "", found["digest"] or "")
    return asked if len(asked.name + asked.tag) <= LONGEST else None


def fits(patterns: Iterable[str], text: str) -> bool:
    """Whether one of these, each a PATTERN, stands for it."""
    return any(re.fullmatch(_expression(pattern), text) for pattern in patterns)


def _expression(pattern: str) -> str:
    return re.escape(pattern).replace(r"\*\*", ".*").replace(r"\*", "[^/]*")
