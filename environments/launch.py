"""Launch: all that somebody may ask for when they launch a workspace, from a page, the API or a link."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """As it was asked, unchecked (see checks.py). What is left out is the template's or the owner's default."""

    template: str
    version: str | None = None
    size: str | None = None
    team: str | None = None
    project: str = ""
    name: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    git_url: str = ""
    git_ref: str = ""
    volumes: Sequence[str] = field(default_factory=list)
    secrets: Sequence[str] = field(default_factory=list)
    auto_stop_minutes: int | None = None
