"""Puts the idle rule into effect: suspends what idles, keeps each stop time, warns before it, and stops."""

from datetime import datetime, timedelta

from django.db import transaction

from environments import actions
from environments.idle import WARNING, Rule, Verdict, judge, rule_of, signals_of
from environments.models import Workspace
from environments.states import Counted
from portal.celery import ring
from portal.compute.models import Activity, Allocation
from portal.compute.states import Desired, Phase, Reason
from portal.lib import clock, words
from portal.live.redis import publish
from portal.notices import mails

ACTOR = "idle rule"
BATCH = 200
MAIL_LOST = timedelta(minutes=1)


def settle_due() -> None:
    """For the tick: running workspaces whose stop is near, and warnings whose mail was lost on the way."""
    now = clock.now()
    running = Workspace.objects.filter(allocation__phase=Phase.RUNNING).exclude(allocation__desired=Desired.END)
    near = running.filter(stops_at__lte=now + WARNING).order_by("stops_at")
    for pk in near.values_list("pk", flat=True)[:BATCH]:
        settle(pk)
    unmailed = running.filter(warned_at__lt=now - MAIL_LOST, warning_mailed=False)
    for pk in unmailed.values_list("pk", flat=True)[:BATCH]:
        ring_mail(pk)


@transaction.atomic
def settle(workspace_id: str) -> None:
    """Judge one workspace anew; keep the verdict, warn, take a warning back, suspend or stop it.

    Safe to call at any time.
    """
    rows = Workspace.objects.select_for_update(of=("self",)).select_related("version__template", "allocation__node")
    row = rows.filter(pk=workspace_id).first()
    if row is None or row.allocation is None or not _runs(row.allocation):
        return
    activity = Activity.objects.filter(allocation=row.allocation).first()
    rule, now = rule_of(row), clock.now()
    verdict = judge(signals_of(row, row.allocation, activity), rule, now)
    warned_at = _warned(row, verdict, rule, now)
    stops_at = max(verdict.stops_at, warned_at + rule.warning) if warned_at and verdict.stops_at else verdict.stops_at
    _keep(row, verdict, stops_at, warned_at)
    asked = activity.asked_at if activity else None
    if _is_due(stops_at, asked, now):
        actions.stop(row, actor=ACTOR, reason=Reason.IDLE, message=sentence(verdict, now))
    elif _is_due(verdict.suspends_at, asked, now) and _can_be_suspended(row.allocation):
        actions.suspend(row, actor=ACTOR)


def _is_due(at: datetime | None, asked: datetime | None, now: datetime) -> bool:
    """It needs an answer from then or later: an older one may be wrong by now."""
    return at is not None and asked is not None and now >= at and asked >= at


def _runs(allocation: Allocation) -> bool:
    """Suspended or not."""
    return allocation.phase == Phase.RUNNING and allocation.desired != Desired.END


def _can_be_suspended(allocation: Allocation) -> bool:
    return allocation.desired == Desired.RUN and allocation.node is not None and allocation.node.freezes


def _warned(row: Workspace, verdict: Verdict, rule: Rule, now: datetime) -> datetime | None:
    """Since when it warns. Everybody gets the whole warning, even where nobody looked when it was due."""
    if verdict.stops_at is None or now < verdict.stops_at - rule.warning:
        return None
    return row.warned_at if row.warned_at and row.warned_at >= verdict.idle_since else now


def _keep(row: Workspace, verdict: Verdict, stops_at: datetime | None, warned_at: datetime | None) -> None:
    """Write what changed; a warning that begins or ends is told to open pages."""
    values: dict[str, object] = {"idle_since": verdict.idle_since, "counted": verdict.last, "stops_at": stops_at}
    if warned_at != row.warned_at:
        values |= {"warned_at": warned_at, "warning_mailed": False}
        publish(row.topic, f"workspaces-{row.owner_id}")
    Workspace.objects.filter(pk=row.pk).update(**values)
    if warned_at and warned_at != row.warned_at:
        transaction.on_commit(lambda: ring_mail(row.pk))


def sentence(verdict: Verdict, now: datetime) -> str:
    idle = words.duration((now - verdict.idle_since).total_seconds())
    last = f"{said(verdict.last)}, {words.exactly(verdict.idle_since)}"
    return f"Nothing ran in it for {idle}. What counted last: {last}."


def said(what: Counted) -> str:
    """Inside a sentence."""
    return what.label[0].lower() + what.label[1:] if not what.label.startswith("Berth") else what.label


def ring_mail(workspace_id: str) -> None:
    from environments import tasks

    ring(tasks.mail_idle_warning, workspace_id)


def mail_warning(workspace_id: str) -> None:
    """Tell the owner, once per warning; whoever marks it sends it. Without an address there is nothing to send."""
    warned = Workspace.objects.filter(pk=workspace_id, warned_at__isnull=False, allocation__phase=Phase.RUNNING)
    unmailed = Workspace.objects.filter(pk__in=warned.values("pk"), warning_mailed=False)
    if not unmailed.update(warning_mailed=True):
        return
    row = Workspace.objects.select_related("owner", "version__template").get(pk=workspace_id)
    if row.stops_at is None or row.idle_since is None:
        return
    mails.send(
        row.owner,
        f"{row.name} looks idle and stops at {words.clock(row.stops_at)}",
        f"nothing has run in {row.name} since {words.exactly(row.idle_since)}. It stops at "
        f"{words.clock(row.stops_at)}; your files stay.\n\n"
        "Keep it running, or stop it now:",
        row.get_absolute_url(),
    )
