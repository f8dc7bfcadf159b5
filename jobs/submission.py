"""Submission: all that somebody may ask for when they submit a job, from a page, a file, the API or another job."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

DEFAULT_OUTPUTS = ("outputs",)
SHELL = ("bash", "-eo", "pipefail", "-c")
"""What runs a command that is written as lines of a script: the first line that fails ends it."""
PLAIN_SHELL = ("sh", "-ec")
"""The same in an image that may be without bash."""


def script(text: str, shell: Sequence[str] = SHELL) -> list[str]:
    """The command that runs these lines."""
    return [*shell, text.replace("\r\n", "\n").strip()] if text.strip() else []


def in_shell(command: Sequence[str], shell: Sequence[str]) -> list[str]:
    """Lines of a script run by that shell; any other command as it is."""
    lines = _lines(command)
    return list(command) if lines is None else script(lines, shell)


def running(file: str) -> str:
    """The lines that run a file of that name; a notebook is kept as it is when all its cells have run."""
    name = shlex.quote(file)
    if file.endswith(".ipynb"):
        return f"mkdir -p outputs\npapermill {name} outputs/{name}"
    return f"python {name}" if file else ""


def written(command: Sequence[str]) -> str:
    """A command as one would write it."""
    lines = _lines(command)
    return shlex.join(command) if lines is None else lines


def _lines(command: Sequence[str]) -> str | None:
    """Those of the script that it runs."""
    return command[-1] if tuple(command[:-1]) in (SHELL, PLAIN_SHELL) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """As it was asked, unchecked (see checks.py). What is left out is the template's or the owner's default.

    It runs in a version of `template`, or in `image` (see image_references.py). With `workspace` it runs in that
    workspace's environment and for its project, and without any code has all of the home that is not hidden; neither
    is then needed.
    With `folder`, the job has a copy of that folder of the owner's home as it is now, or of what an archive there
    holds; `.` is the home itself. With `code_of`, it has the copy that the job of that id began with. `rerun_of` names
    the job that this one repeats. When it has succeeded, what it left at `keep_path` becomes a version of the model
    `keep_as`. With `after`, ids of jobs, it waits for those: until `after_condition` holds of them.
    """

    command: Sequence[str]
    template: str | None = None
    version: str | None = None
    image: str | None = None
    size: str | None = None
    team: str | None = None
    project: str | None = None
    name: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Sequence[str] = field(default_factory=list)
    git_url: str = ""
    git_ref: str = ""
    workspace: str | None = None
    folder: str = ""
    code_of: str | None = None
    inputs: Sequence[str] = field(default_factory=list)
    models: Sequence[str] = field(default_factory=list)
    outputs: Sequence[str] = DEFAULT_OUTPUTS
    keep_as: str = ""
    keep_path: str = ""
    max_duration_seconds: int | None = None
    grace_seconds: int = 30
    retries: int = 0
    retry_delay_seconds: int = 10
    retry_rules: Sequence[Mapping[str, Any]] = field(default_factory=list)
    priority: str = "normal"
    after: Sequence[str] = field(default_factory=list)
    after_condition: str = "all_succeeded"
    rerun_of: str | None = None
