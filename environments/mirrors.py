"""Mirrors that image builds fetch packages from: written into the copy of a Dockerfile that is built."""

import re

from django.conf import settings

_STAGE = re.compile(r"^FROM[ \t]+(\S+).*$", re.MULTILINE)
_DEBIAN = re.compile(r"debian[:@]")
_SOURCES = "find /etc/apt -name '*.list' -o -name '*.sources' | xargs -r sed -Ei 's,https?://deb\\.debian\\.org,{},'"


def applied(dockerfile: str) -> str:
    """The same, with each stage told of the mirrors in the settings; unchanged without any."""
    return _STAGE.sub(lambda found: "\n".join([found[0], *_instructions(found[1])]), dockerfile)


def _instructions(base: str) -> list[str]:
    """Arguments of the build: programs run in it see them, those of the finished image do not."""
    arguments = {"PIP_INDEX_URL": settings.PIP_INDEX_URL, "NPM_CONFIG_REGISTRY": settings.NPM_REGISTRY}
    lines = [f"ARG {name}={value}" for name, value in arguments.items() if value]
    if settings.APT_MIRROR and _DEBIAN.match(base):
        lines.append(f"RUN {_SOURCES.format(settings.APT_MIRROR)}")
    return lines
