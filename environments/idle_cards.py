"""What pages say of idleness: when a workspace is suspended or stops, what counted last; made without queries."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from environments.idle import Rule, rule_of
from environments.models import Workspace
from environments.states import Counted
from portal.compute.models import Activity
from portal.compute.states import Desired
from portal.lib import clock, words

IN_USE = timedelta(minutes=5)
"""What counted less than this ago is use: a stop that moves with every key is not worth reading."""


@dataclass(frozen=True, slots=True)
class IdleCard:
    """`warning` is empty while nothing has to be said, `suspends` where it never is; `short` goes under the state in
    a row."""

    short: str
    warning: str
    last: str
    stops: str
    suspends: str = ""


def idle_card(workspace: Workspace, activity: Activity | None = None) -> IdleCard:
    """For a workspace that runs or is suspended. `activity` adds what only its own page shows."""
    now, rule = clock.now(), rule_of(workspace)
    return IdleCard(
        short=_short(workspace, now),
        warning=_warning(workspace, now) if workspace.warned_at else "",
        last=_last(workspace, activity, now),
        stops=_stops(workspace, rule, activity),
        suspends=_suspends(rule),
    )


def _kept(workspace: Workspace) -> bool:
    return workspace.keep_until is not None and workspace.keep_until == workspace.stops_at


def _short(workspace: Workspace, now: datetime) -> str:
    if workspace.stops_at is None or workspace.idle_since is None:
        return ""
    if _kept(workspace):
        return f"Keep until {words.clock(workspace.stops_at)}"
    idles = workspace.warned_at is not None or now - workspace.idle_since >= IN_USE
    return f"Idle stop {words.clock(workspace.stops_at)}" if idles else ""


def _warning(workspace: Workspace, now: datetime) -> str:
    if workspace.stops_at is None or workspace.idle_since is None:
        return ""
    idle = words.duration((now - workspace.idle_since).total_seconds())
    return f"Nothing has run in it for {idle}. It stops at {words.clock(workspace.stops_at)}; your files stay."


def _last(workspace: Workspace, activity: Activity | None, now: datetime) -> str:
    if workspace.idle_since is None:
        return "Not asked yet"
    what = Counted(workspace.counted)
    command = activity.terminal_command if activity and what == Counted.TERMINAL else ""
    named = f"{what.label} ({command})" if command else what.label
    return f"{named}, {words.moment(workspace.idle_since, now)}"


def _stops(workspace: Workspace, rule: Rule, activity: Activity | None) -> str:
    if rule.after is None:
        return "When you stop it"
    if workspace.stops_at is None:
        trouble = activity.trouble if activity else ""
        return f"Not while Berth cannot tell what runs in it. {trouble}".strip()
    if _kept(workspace):
        return f"Not before {words.clock(workspace.stops_at)}"
    if workspace.allocation is not None and workspace.allocation.desired == Desired.SUSPEND:
        return f"At {words.clock(workspace.stops_at)}, if nobody resumes it until then"
    idle = words.duration(rule.after.total_seconds())
    return f"After {idle} without use: at {words.clock(workspace.stops_at)}, if nothing runs until then"


def _suspends(rule: Rule) -> str:
    if rule.suspend is None or rule.after is None or rule.suspend >= rule.after:
        return ""
    return f"After {words.duration(rule.suspend.total_seconds())} without use; it then resumes in a second"
