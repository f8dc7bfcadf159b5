"""Submissions as sweeps and schedules keep them: JSON with the fields of Submission, and never a secret's value."""

from dataclasses import asdict, fields
from typing import Any

from jobs.submission import Submission

_KNOWN = {field.name for field in fields(Submission)}


def as_json(asked: Submission) -> dict[str, Any]:
    return asdict(asked)


def from_json(kept: dict[str, Any]) -> Submission:
    """What an earlier Berth kept and this one no longer knows is left out."""
    return Submission(**{name: value for name, value in kept.items() if name in _KNOWN})
