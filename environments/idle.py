"""The idle rule as a pure function: from what was seen, since when a workspace idles and when it stops."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from environments.models import Template, Workspace
from environments.states import Counted
from portal.compute.activity import GAP
from portal.compute.models import Activity, Allocation

WARNING = timedelta(minutes=10)
SHORTEST_MINUTES = 10
LONGEST_MINUTES = 60 * 24 * 7
"""Where the template's rule sets no bound of its own."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`after` None: it never stops by itself. `most` bounds what people may ask for instead, and for how long
    they may keep it running. `suspend` is after how long it is suspended, before it stops; None: never."""

    after: timedelta | None
    most: timedelta
    suspend: timedelta | None = None

    @property
    def warning(self) -> timedelta:
        """How long before the stop it is announced: ten minutes, or half of a shorter rule."""
        return min(WARNING, self.after / 2) if self.after else WARNING


@dataclass(frozen=True, slots=True)
class Signals:
    """When each thing that counts was last seen; `known_since` and `asked_at` as in compute's Activity."""

    seen: Mapping[Counted, datetime]
    known_since: datetime | None = None
    asked_at: datetime | None = None
    keep_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """`last` counted last, at `idle_since`. `stops_at` and `suspends_at` None: it never does, or (`known` False)
    nobody can say."""

    idle_since: datetime
    last: Counted
    stops_at: datetime | None
    known: bool = True
    suspends_at: datetime | None = None


def judge(signals: Signals, rule: Rule, now: datetime) -> Verdict:
    """What is not known is never idle: without an answer nothing stops, and the time without one does not count."""
    counted = dict(signals.seen)
    started = counted[Counted.STARTED]
    if signals.known_since and signals.known_since - started > GAP:
        counted[Counted.KNOWN] = signals.known_since
    last = max(counted, key=lambda what: counted[what])
    known = signals.asked_at is not None and now - signals.asked_at <= GAP
    if rule.after is None or not known:
        return Verdict(counted[last], last, None, known)
    stop, suspend = (_due(counted[last], after, signals.keep_until) for after in (rule.after, rule.suspend))
    return Verdict(counted[last], last, stop, suspends_at=suspend)


def _due(since: datetime, after: timedelta | None, keep_until: datetime | None) -> datetime | None:
    return None if after is None else max(since + after, keep_until or since)


def template_rule(template: Template) -> Rule:
    """`most_minutes` of the template, or a week."""
    stored: dict[str, Any] = template.idle or {}
    after, suspend = (
        None if (minutes := stored.get(f"{step}_after_minutes")) is None else timedelta(minutes=minutes)
        for step in ("stop", "suspend")
    )
    return Rule(after, timedelta(minutes=stored.get("most_minutes", LONGEST_MINUTES)), suspend)


def rule_of(workspace: Workspace) -> Rule:
    """The template's, with the workspace's own minutes where it has some; never beyond what the template allows."""
    rule = template_rule(workspace.version.template)
    if workspace.auto_stop_minutes is None:
        return rule
    return replace(rule, after=min(timedelta(minutes=workspace.auto_stop_minutes), rule.most))


def signals_of(workspace: Workspace, allocation: Allocation, activity: Activity | None) -> Signals:
    started = allocation.container_started_at or allocation.started_at or allocation.phase_at
    seen = {
        Counted.TRAFFIC: _latest(workspace.last_activity_at, activity.used_at if activity else None),
        Counted.KERNEL: activity and activity.kernel_at,
        Counted.TERMINAL: activity and activity.terminal_at,
        Counted.CPU: activity and activity.cpu_at,
        Counted.GPU: activity and activity.gpu_at,
    }
    return Signals(
        seen={Counted.STARTED: started, **{what: at for what, at in seen.items() if at}},
        known_since=activity.known_since if activity else None,
        asked_at=activity.asked_at if activity else None,
        keep_until=workspace.keep_until,
    )


def _latest(*moments: datetime | None) -> datetime | None:
    return max((moment for moment in moments if moment), default=None)
