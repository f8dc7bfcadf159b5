"""Whether each part of Berth works: services, processes, nodes, images, messages and what waits, a line for each."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Min, Q
from django.urls import reverse

from environments.models import Image
from environments.states import ImageState
from portal.compute import line
from portal.compute.models import Allocation, Heartbeat, Node
from portal.compute.states import Phase
from portal.lib import clock, words
from portal.live import redis
from portal.notices.models import Delivery
from portal.notices.states import DeliveryState

SILENCE = timedelta(seconds=90)
"""A process or node that was not seen for so long is called silent."""
LATE = timedelta(minutes=10)
"""A message that should have gone out so long ago is not being sent."""
RECENT = timedelta(days=1)
IMAGES_SHOWN = 20

GOOD, BUSY, BAD, OFF = "ready", "waiting", "failed", "missing"
"""States that stand for a colour here; each line has its own word."""

PROCESSES = {
    "agent": "Start the agent again. Until then there are no logs, no measurements and no news of the engine.",
    "worker": "Start the worker, beat and Redis again. Until then the agent keeps starts and stops going.",
}
"""Those that must be there, and what to do when one is silent."""


@dataclass(frozen=True, slots=True)
class Line:
    """`state` is one of GOOD, BUSY, BAD and OFF; `todo` says what to do about a BAD one."""

    name: str
    state: str
    word: str
    text: str
    todo: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    title: str
    lines: list[Line]


def groups() -> list[Group]:
    now = clock.now()
    return [
        Group("Services", [_database(), _redis()]),
        Group("Processes", _processes(now)),
        Group("Nodes", _nodes(now)),
        Group("Work", [_waiting(now), *_unknown(now)]),
        Group("Images", _images(now)),
        Group("Mails and webhooks", _messages(now)),
    ]


def troubles(shown: list[Group]) -> int:
    return sum(line.state == BAD for group in shown for line in group.lines)


def _database() -> Line:
    return Line("Database", GOOD, "Answers", "This page was read from it.")


def _redis() -> Line:
    if redis.ping():
        return Line("Redis", GOOD, "Answers", "News reach open pages at once.")
    todo = "Start Redis again. Nothing is lost; starts and pages are only slower until then."
    return Line("Redis", BAD, "Not answering", "News reach open pages and processes late.", todo)


def _processes(now: datetime) -> list[Line]:
    seen: dict[str, datetime | None] = dict.fromkeys(PROCESSES)
    seen |= dict(Heartbeat.objects.values_list("name", "at"))
    return [_process(name, at, now) for name, at in sorted(seen.items())]


def _process(name: str, at: datetime | None, now: datetime) -> Line:
    todo = PROCESSES.get(name, f"Start {name} again, and read its log.")
    if at is None:
        return Line(name, BAD, "Never seen", "It has not reported yet.", todo)
    text = f"Last seen {words.moment(at, now)}."
    return Line(name, BAD, "Silent", text, todo) if now - at > SILENCE else Line(name, GOOD, "Works", text)


def _nodes(now: datetime) -> list[Line]:
    todo = "Start the agent on a machine with a container engine; it reports the machine by itself."
    lines = [_node(node, now) for node in Node.objects.all()]
    return lines or [Line("No node", BAD, "None", "Nothing can start: no machine is known.", todo)]


def _node(node: Node, now: datetime) -> Line:
    text = f"Last answered {words.moment(node.seen_at, now)}."
    state, word, todo = GOOD, "Answers", ""
    if node.cordoned_at:
        state, word = OFF, "Closed"
        because = f" ({node.cordoned_because})" if node.cordoned_because else ""
        text += f" Closed {words.moment(node.cordoned_at, now)}{because}: it takes nothing new."
        text += f" What runs there is stopped at {words.point(node.drain_at, now)}." if node.drain_at else ""
    if node.warning:
        state, word = BUSY, "Warning"
        text += f" {node.warning}"
    if node.unreachable_since:
        text = f"Not answering for {words.duration((now - node.unreachable_since).total_seconds())}. {text}"
        todo = "See whether its container engine runs. What runs there goes on; nothing is called stopped."
        state, word = BAD, "Not answering"
    elif now - node.seen_at > SILENCE:
        state, word, todo = BAD, "Not seen", "Start the agent of this node again: nobody asks its engine."
    return Line(node.name, state, word, text, todo, reverse("node", args=[node.pk]))


def _waiting(now: datetime) -> Line:
    found = line.waiting().aggregate(number=Count("pk"), since=Min("created_at"))
    number, url = found["number"], reverse("gpu-board")
    if not number:
        return Line("In line", GOOD, "Nobody waits", "Whatever was asked for has a place.", url=url)
    longest = words.duration((now - found["since"]).total_seconds())
    return Line("In line", BUSY, f"{number} waiting", f"The first has waited for a place for {longest}.", url=url)


def _unknown(now: datetime) -> list[Line]:
    """By node: what the engine was asked about in vain."""
    found = Allocation.objects.exclude(phase=Phase.ENDED).filter(unknown_since__isnull=False)
    by_node = found.values_list("node__name").annotate(Count("pk"), Min("unknown_since")).order_by("node__name")
    return [_unknown_on(node or "", number, since, now) for node, number, since in by_node] or [
        Line("State of what runs", GOOD, "Known", "The engine answers for all of it.")
    ]


def _unknown_on(node: str, number: int, since: datetime, now: datetime) -> Line:
    where = f" on {node}" if node else ""
    longest = words.duration((now - since).total_seconds())
    text = f"The engine has not answered for them for {longest}. They are left as they were."
    todo = "See the line of the node above: once its engine answers, they are known again."
    return Line(f"State of what runs{where}", BAD, f"{number} unknown", text, todo)


def _images(now: datetime) -> list[Line]:
    counts = dict(Image.objects.order_by().values_list("state").annotate(Count("pk")))
    failed = Image.objects.filter(state=ImageState.FAILED).order_by("-failed_at", "name")[:IMAGES_SHOWN]
    lines = [_failed_image(image, now) for image in failed]
    rest = counts.get(ImageState.FAILED, 0) - len(lines)
    if rest > 0:
        lines.append(Line(f"{rest} more", BAD, "Failed", "Not all are shown here.", "See all.", reverse("images")))
    ready, total = counts.get(ImageState.READY, 0), sum(counts.values())
    return lines or [Line("Images", GOOD, "None failed", f"{ready} of {total} are ready.", url=reverse("images"))]


def _failed_image(image: Image, now: datetime) -> Line:
    when = f"Failed {words.moment(image.failed_at, now)}. " if image.failed_at else ""
    todo = "Open it to read why, and build it again. What needs it waits."
    return Line(image.name, BAD, "Failed", f"{when}{image.message[:300]}", todo, reverse("image", args=[image.name]))


def _messages(now: datetime) -> list[Line]:
    waits, gave_up = Q(state=DeliveryState.WAITING), Q(state=DeliveryState.FAILED)
    sendable = Q(notice__user__is_active=True) & (Q(webhook=None) | Q(webhook__enabled=True))
    found = Delivery.objects.filter(waits | gave_up).aggregate(
        waiting=Count("pk", filter=waits),
        late=Count("pk", filter=waits & sendable & Q(next_at__lt=now - LATE)),
        failed=Count("pk", filter=gave_up),
        recent=Count("pk", filter=gave_up & Q(ended_at__gte=now - RECENT)),
    )
    return [_unsent(found["waiting"], found["late"]), _given_up(found["failed"], found["recent"])]


def _unsent(waiting: int, late: int) -> Line:
    if late:
        text = f"{late} should have gone out more than {words.duration(LATE.total_seconds())} ago."
        return Line(
            "Waiting to be sent", BAD, f"{waiting} waiting", text, "See whether the worker runs: it sends them."
        )
    if waiting:
        text = "Each is tried again by itself until it is taken."
        return Line("Waiting to be sent", BUSY, f"{waiting} waiting", text)
    return Line("Waiting to be sent", GOOD, "None", "All have gone out.")


def _given_up(failed: int, recent: int) -> Line:
    text = f"{failed} of those that are kept, {recent} of them within a day."
    if recent:
        todo = "Check the settings of the mail server; why a webhook failed stands on its owner's page of webhooks."
        return Line("Given up", BAD, f"{recent} given up", text, todo)
    return Line("Given up", OFF if failed else GOOD, "None lately" if failed else "None", text if failed else "")
