"""Asks what runs in an allocation: kernels, commands in terminals, CPU. What it finds are moments, not verdicts."""

import http.client
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Avg

from portal.compute.engine import runtime
from portal.compute.models import Activity, Allocation, Sample
from portal.compute.specs import container_name, secret_of
from portal.compute.states import ActivityKind
from portal.lib import clock
from runtimes.base import RuntimeFailure

TIMEOUT_SECONDS = 3.0
LARGEST_ANSWER = 1024**2
GAP = timedelta(minutes=5)
"""After this long without an answer nothing is known any more, and what is known begins anew with the next one."""

WINDOW = timedelta(minutes=1)
BUSY = {"cpu": 0.1, "gpu": 0.05}
"""Cores and devices used on average over WINDOW; an open JupyterLab without work uses less than a tenth of that."""
SETTLING = timedelta(seconds=15)
"""After it runs: what an application needs to start is nobody's work."""

SHELLS = {"sh", "bash", "dash", "zsh", "fish", "tcsh", "login", "su", "sudo", "tmux", "screen"}
READERS = {"less", "more", "man", "vi", "vim", "nvim", "nano", "emacs", "top", "htop", "watch"}
WAITING = SHELLS | READERS
"""Programs in a terminal that wait for somebody; left open over night they are no work."""


class Silent(Exception):
    """It did not answer, or not as it should; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class Found:
    """When each kind of work was last seen; None: not now."""

    kernel_at: datetime | None = None
    terminal_at: datetime | None = None
    terminal_command: str = ""
    used_at: datetime | None = None
    cpu_at: datetime | None = None
    gpu_at: datetime | None = None


def ask(allocation: Allocation) -> Found:
    """Everything that can be asked of it. Raises Silent when one question has no answer: a part would mislead.

    What is frozen need not be asked: nothing in it moves.
    """
    if allocation.frozen_at is not None:
        return Found()
    kind = allocation.spec.get("activity", {}).get("kind", ActivityKind.WEB)
    found = _IN_APPLICATION[ActivityKind(kind)](allocation)
    return _with_hardware(_with_commands(found, allocation), allocation)


def note(allocation: Allocation) -> None:
    """Ask, and keep what was found; the agent is the only one who writes here."""
    now = clock.now()
    row, _ = Activity.objects.get_or_create(allocation=allocation)
    try:
        found = ask(allocation)
    except Silent as trouble:
        Activity.objects.filter(pk=row.pk).update(trouble=str(trouble)[:200])
        return
    fresh = {name: value for name in Found.__slots__ if (value := getattr(found, name))}
    if row.asked_at is None or now - row.asked_at > GAP:
        fresh["known_since"] = now
    Activity.objects.filter(pk=row.pk).update(asked_at=now, trouble="", **fresh)


def _jupyter(allocation: Allocation) -> Found:
    """A busy kernel works now; another one did when it last said something, a terminal when it last wrote or read."""
    kernels, terminals = _get(allocation, "api/kernels"), _get(allocation, "api/terminals")
    now = clock.now()
    try:
        worked = [now if one["execution_state"] == "busy" else _moment(one["last_activity"]) for one in kernels]
        spoke = [_moment(one["last_activity"]) for one in terminals]
    except (KeyError, TypeError, ValueError) as error:
        raise Silent("Jupyter's answer about its kernels makes no sense.") from error
    return Found(kernel_at=max(worked, default=None), terminal_at=max(spoke, default=None))


def _code_server(allocation: Allocation) -> Found:
    """When somebody last typed or clicked in a window, as the image's extension notes it; 0: never.

    code-server's own heartbeat (`/healthz`) goes on for as long as a window is open, touched or not.
    """
    used = _get(allocation, "_static/used.json")
    if not isinstance(used, int):
        raise Silent("VS Code's answer about its use makes no sense.")
    return Found(used_at=min(datetime.fromtimestamp(used / 1000, UTC), clock.now()) if used > 0 else None)


def _nothing_to_ask(allocation: Allocation) -> Found:
    return Found()


_IN_APPLICATION: dict[ActivityKind, Callable[[Allocation], Found]] = {
    ActivityKind.JUPYTER: _jupyter,
    ActivityKind.CODE_SERVER: _code_server,
    ActivityKind.RSTUDIO: _nothing_to_ask,
    ActivityKind.WEB: _nothing_to_ask,
}


def _with_commands(found: Found, allocation: Allocation) -> Found:
    """What runs in any terminal but shells and readers, however quietly; a task of VS Code has a terminal to itself."""
    try:
        processes = runtime().processes(container_name(allocation))
    except RuntimeFailure as error:
        raise Silent("The container engine does not say what runs in it.") from error
    if processes is None:
        raise Silent("The container engine does not see it running.")
    working = [one.command for one in processes if one.terminal and one.command not in WAITING]
    return replace(found, terminal_at=clock.now(), terminal_command=working[0][:60]) if working else found


def _with_hardware(found: Found, allocation: Allocation) -> Found:
    """CPU and GPUs from the samples of the last minute that it ran."""
    now = clock.now()
    since = max(now - WINDOW, allocation.phase_at + SETTLING)
    used = Sample.objects.filter(allocation=allocation, at__gte=since).aggregate(cpu=Avg("cpu"), gpu=Avg("gpu"))
    busy = {what for what, least in BUSY.items() if (used[what] or 0) >= least}
    return replace(found, cpu_at=now if "cpu" in busy else None, gpu_at=now if "gpu" in busy else None)


def _get(allocation: Allocation, path: str) -> Any:
    """The JSON at `path` below the application's prefix, asked as the gateway asks. Raises Silent."""
    name, _, value = allocation.spec["activity"]["header"].partition(":")
    headers = {"Host": allocation.address, "User-Agent": "berth-activity"}
    headers[name.strip()] = value.strip().replace("{secret}", secret_of(allocation))
    connection = http.client.HTTPConnection(allocation.address, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", allocation.spec["prefix"] + path, headers=headers)
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            raise Silent(f"The application answers {answer.status} when asked what runs in it.")
        return json.loads(answer.read(LARGEST_ANSWER))
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Silent("The application does not answer when asked what runs in it.") from error
    finally:
        connection.close()


def _moment(text: str) -> datetime:
    """Never later than now: a clock inside that runs ahead must not keep it running."""
    return min(datetime.fromisoformat(text), clock.now())
