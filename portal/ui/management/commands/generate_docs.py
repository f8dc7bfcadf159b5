"""`manage.py generate_docs [--check]`: writes the pages under docs/reference that the code itself can tell."""

from argparse import ArgumentParser
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from textwrap import fill
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from environments.states import ImageState, WorkspaceState, state_of
from jobs.actions import STATES
from jobs.states import FINAL, JobState, final_state
from portal.compute.models import Allocation
from portal.compute.states import FAILURES, TRANSITIONS, Desired, Phase, Reason
from portal.lib import clock
from portal.quotas.states import TRANSITIONS as REQUEST_TRANSITIONS
from portal.settings import BASE_DIR, env

FOLDER = BASE_DIR / "docs" / "reference"
WIDTH = 110
MARK = "<!-- Written by `manage.py generate_docs`: change the code, then run that. -->"

SETTINGS = {
    "BERTH_ACTIVITY_SECONDS": "How often each running application is asked what runs in it, in seconds.",
    "BERTH_AGENT_NODE": "Name under which the agent reports its machine; the engine's own name if empty.",
    "BERTH_APT_MIRROR": "Mirror of Debian for image builds, in place of Debian's own archive; without a password.",
    "BERTH_CA_BUNDLE": "File of certificate authorities that image builds and webhooks trust in addition (PEM).",
    "BERTH_CONTAINER_NETWORKS": "Address range for users' networks, a /28 each; the gateway connects nowhere else.",
    "BERTH_CPU_OVERCOMMIT": "How many cores may be reserved for each physical one.",
    "BERTH_CURRENCY": "Currency of totals and of what has no published price; the same as in `prices.yaml`.",
    "BERTH_DATA": "Folder of everything that Berth itself writes: logs, static files, keys, embedded databases.",
    "BERTH_DEBUG": "Django's debug mode, for development only.",
    "BERTH_DEMO_HISTORY": "Whether `make run` makes up a quarter of work for the demo, where nothing has run yet.",
    "BERTH_ENGINE_URL": "Address of the container engine; Docker's usual socket if empty.",
    "BERTH_EXECUTE_SOCKET": "Where the agent runs programs in workspaces for `ssh`; in `BERTH_DATA/run` if empty.",
    "BERTH_INSTANCE": "Name of this installation on its engine: part of every container's name and labels.",
    "BERTH_INTERACTIVE_FIRST": "Whether workspaces go before all jobs in line, or as if 12 hours earlier.",
    "BERTH_LIVE_ADDRESS": "Where `live` listens and the gateway finds it.",
    "BERTH_LOG_DAYS": "Days that the log of a run is kept after its end; 0 keeps all logs.",
    "BERTH_LOG_GB": "Most text that one run's log may have, in GB; what it writes beyond that is not kept.",
    "BERTH_MAIL_FROM": "Sender of mails.",
    "BERTH_NOTICE_DAYS": "Days after which notices are deleted, with what is known of their delivery.",
    "BERTH_NPM_REGISTRY": "Registry of npm packages for image builds; without a password.",
    "BERTH_PIP_INDEX_URL": "Index of Python packages for image builds; without a password.",
    "BERTH_PORT": "Port of the gateway: the one that browsers use.",
    "BERTH_PORTAL_URL": "Public address of the pages and the API. With https, cookies are bound to TLS.",
    "BERTH_REACHABLE_NETWORKS": "Private ranges that workspaces may reach all the same, separated by commas.",
    "BERTH_FILES_ADDRESS": "Where `files` listens and the gateway finds it.",
    "BERTH_JOB_FILES_DAYS": "Days after which the files of an ended job are deleted, unless it is pinned.",
    "BERTH_VOLUMES": "Folder of the engine's volumes, read by `files` alone; if empty, Docker's usual one.",
    "BERTH_RELAY_ADDRESS": "Where `relay` listens and the gateway finds it.",
    "BERTH_RUNTIME": "What runs workspaces: `docker`, `local` (plain processes, no isolation) or `fake` (tests).",
    "BERTH_SECRETS_KEYS": "Keys that seal stored secrets, `id:base64,id:base64`: the first seals, all open. The last "
    "one, and the only one if empty, is derived from `BERTH_SECRET_KEY`.",
    "BERTH_SECRET_KEY": "Signs sessions and derives the secrets of containers; made at first start if empty.",
    "BERTH_SERVICES_PORT": "Port of the gateway at which jobs reach their team's tracking server; 0: they reach none.",
    "BERTH_SIMULATED_GPUS": "GPUs to declare for trying out, by class: `a100:2,l4:4`. Nothing is there.",
    "BERTH_SSH_PORT": "Port of the SSH door, on all interfaces.",
    "BERTH_WEBHOOK_HOSTS": "Hosts, as `name` or `name:port`, that webhooks may reach though they are not public, "
    "also by plain http; separated by commas.",
    "BERTH_WEB_ADDRESS": "Where `web` listens and the gateway finds it.",
    "BERTH_WORKSPACE_URL": "Public address of a workspace, with `{id}` in the host's name or as the last path part.",
    "DATABASE_URL": "The PostgreSQL database. `make run` starts one of its own unless this is set.",
    "EMAIL_URL": "Mail server, such as `smtp+tls://user:password@mail.example.org:587`; no mail is sent by default.",
    "REDIS_URL": "The Redis server. `make run` starts one of its own unless this is set.",
}
"""One line for each name in portal.settings.env; a missing or a superfluous one is an error."""


class Command(BaseCommand):
    help = "Write the generated pages of docs/reference, or say which are out of date."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="change nothing; fail when a page is out of date")

    def handle(self, *args: Any, **options: Any) -> None:
        old = [path for path, text in pages().items() if not path.exists() or path.read_text() != text]
        if options["check"] and old:
            names = ", ".join(path.name for path in old)
            raise CommandError(f"{names}: not what the code says; run `manage.py generate_docs`.")
        for path in old:
            path.write_text(pages()[path])
            self.stdout.write(f"Wrote {path.relative_to(settings.BASE_DIR)}.")


def pages() -> dict[Path, str]:
    return {FOLDER / "states.md": states_page(), FOLDER / "settings.md": settings_page()}


def settings_page() -> str:
    if wrong := SETTINGS.keys() ^ env.scheme.keys():
        raise CommandError(f"Describe exactly what portal/settings.py reads; look at {', '.join(sorted(wrong))}.")
    rows = [[f"`{name}`", kind.__name__, _default(value), SETTINGS[name]] for name, (kind, value) in env.scheme.items()]
    return _page(
        "Settings",
        "All settings are environment variables, read in `portal/settings.py` and nowhere else. None has to be set for "
        "`make run`. Each can also be given as `NAME_FILE`, the path of a file that holds the value. A `BERTH_` name "
        "that is not in this table is an error at start.",
        _table(["Name", "Type", "Default", "What it is"], rows),
        "`make run` fills in what depends on `BERTH_PORT` and `BERTH_DATA` (addresses, URLs, embedded databases) and "
        "keeps the result in `BERTH_DATA/environment`, where `manage.py` finds it. What is set outside wins.",
    )


def states_page() -> str:
    return _page(
        "States",
        "An allocation is one reservation of compute. It moves through the phases below and never out of `ended`. The "
        "rules are data in `portal/compute/states.py`; every step is one conditional UPDATE and one row of history.",
        "## Phases of an allocation",
        _table(["Phase", "Shown as", "Can become"], _steps(TRANSITIONS)),
        _diagram(),
        "## Why an allocation ended",
        "What is marked as a failure makes the workspace `failed`; everything else makes it `stopped`. A job whose "
        "last attempt ended so is what the last column says.",
        _table(["Reason", "Sentence", "Failure", "Job"], _reason_rows()),
        "## States of a workspace",
        "A workspace's state is never stored: it is computed from its latest allocation "
        "(`environments.states.state_of`).",
        _table(["State", "When"], _workspace_rows()),
        "`suspended` is a wish beside the phase, not a phase: the container keeps its place, and is seen frozen (since "
        "`frozen_at`) some seconds after the wish.",
        "`unreachable` is a note beside the phase, not a phase: the engine did not answer, so nothing is known and "
        "nothing is called stopped.",
        "## States of a job",
        "Stored, and changed in the transaction of its attempt's last step (`jobs.states.outcome`). It is never "
        "`unreachable`; its page says so beside the state.",
        _table(["State", "Shown as", "When"], _job_rows()),
        "## States of a request for GPUs",
        "Every step is one conditional UPDATE on its state and version, so that of two who decide at once one wins.",
        _table(["State", "Shown as", "Can become"], _steps(REQUEST_TRANSITIONS)),
        "A grant has no stored state: it is `scheduled`, `active`, `expiring` (in its last seven days), `expired` or "
        "`revoked` by the clock.",
        "## States of an image",
        _table(["State", "Shown as"], [[f"`{state.value}`", state.label] for state in ImageState]),
    )


def _steps(transitions: Mapping[Any, Collection[Any]]) -> Iterable[list[str]]:
    for state, following in transitions.items():
        ordered = [f"`{one.value}`" for one in transitions if one in following]
        yield [f"`{state.value}`", state.label, ", ".join(ordered) or "nothing"]


def _diagram() -> str:
    steps = [f"    {a.value} --> {b.value}" for a, following in TRANSITIONS.items() for b in Phase if b in following]
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {Phase.PENDING.value}", *steps]
    return "\n".join([*lines, f"    {Phase.ENDED.value} --> [*]", "```"])


def _reason_rows() -> Iterable[list[str]]:
    known = [reason for reason in Reason if reason != Reason.NONE]
    return [
        [f"`{reason.value}`", reason.label, "yes" if reason in FAILURES else "no", f"`{final_state(reason).value}`"]
        for reason in known
    ]


def _job_rows() -> Iterable[list[str]]:
    for state in JobState:
        phases = [f"`{phase.value}`" for phase in Phase if STATES.get(phase) == state]
        waiting = ["between attempts, or while it is held"] if state == JobState.QUEUED else []
        over = ["it is over"] if state in FINAL else []
        yield [f"`{state.value}`", state.label, "; ".join([*phases, *waiting, *over])]


def _workspace_rows() -> Iterable[list[str]]:
    """Asks `state_of` about an allocation of every kind, so that the table cannot say anything else."""
    when: dict[WorkspaceState, list[str]] = {state: [] for state in WorkspaceState}
    for phase in Phase:
        if phase != Phase.ENDED:
            when[state_of(Allocation(phase=phase), deleted=False)].append(f"`{phase.value}`")
    still = Allocation(phase=Phase.RUNNING, desired=Desired.SUSPEND)
    ending = Allocation(phase=Phase.RUNNING, desired=Desired.END)
    silent = Allocation(phase=Phase.RUNNING, unknown_since=clock.now())
    failed, done = (Allocation(phase=Phase.ENDED, reason=reason) for reason in (Reason.FAILED, Reason.STOPPED))
    when[state_of(still, deleted=False)].append("`running` while it is wanted frozen")
    when[state_of(ending, deleted=False)].append("any open phase once its end is wanted")
    when[state_of(silent, deleted=False)].append("any open phase while the engine does not answer")
    when[state_of(failed, deleted=False)].append("`ended` with a failure")
    when[state_of(done, deleted=False)].append("`ended` without a failure, or never started")
    when[state_of(done, deleted=True)].append("deleted, and nothing of it is open")
    return [[f"`{state.value}`", "; ".join(cases)] for state, cases in when.items()]


def _default(value: object) -> str:
    """Paths as seen from the checkout."""
    text = "" if value in ("", []) else str(value).replace(f"{BASE_DIR}/", "")
    return f"`{text}`" if text else "empty"


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _page(title: str, *parts: str) -> str:
    """Parts that hold a line break are laid out already; the others are prose."""
    laid_out = [part if "\n" in part else fill(part, WIDTH, break_on_hyphens=False) for part in parts]
    return "\n\n".join([f"# {title}", MARK, *laid_out]) + "\n"
