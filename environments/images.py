"""Images on the engine: requested, resolved, built or pulled by one worker at a time, with progress; cancelled."""

import logging
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, BinaryIO, cast

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q, QuerySet

from environments import contexts
from environments.models import Image, ImageCopy
from environments.states import ImageState
from portal.audit.actions import record
from portal.celery import ring
from portal.compute import actions as compute
from portal.compute.engine import runtime
from portal.compute.models import Allocation
from portal.compute.owners import Image as ImageAnswer
from portal.compute.states import Phase
from portal.lib import clock, words
from portal.lib.errors import Conflict
from portal.live.redis import publish
from runtimes.base import EngineRefused, EngineUnreachable, ImageInfo, Progress, RuntimeFailure

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=30)
RENEW_SECONDS = 15.0
REPORT_SECONDS = 1.0
LOG_LINES = 200
BUILD_REST = timedelta(minutes=10)
"""After a build that failed; the next would take minutes of CPU and most likely fail as well."""
UNDER_WAY = [ImageState.QUEUED, ImageState.BUILDING]
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f]")


class Superseded(Exception):
    """Somebody cancelled this build, or asked for another: its result no longer counts."""


def sentence(image: Image) -> str:
    """The state in words."""
    match image.state:
        case ImageState.QUEUED | ImageState.BUILDING if not image.reference:
            return f"Resolving {image.tag} to a digest"
        case ImageState.BUILDING:
            percent = "" if image.progress is None else f", {image.progress:.0%}"
            return f"{'Building' if image.context else 'Pulling'} the image{percent}"
        case ImageState.FAILED:
            return f"{in_short(image)}: {image.message[:140].partition(chr(10))[0]}"
        case _:
            return ImageState(image.state).label


def in_short(image: Image) -> str:
    """The same for people who only launch it: without the reason of a failure, which is on the page Images."""
    if image.state == ImageState.FAILED:
        return f"The last {'build' if image.context else 'pull'} failed"
    return sentence(image)


def answer(image: Image, since: datetime) -> ImageAnswer:
    """What compute is told for a launch of `since`; what was cleaned up or may be tried anew is asked for again."""
    match image.state:
        case ImageState.READY if image.follows and not (image.resolved_at and since <= image.resolved_at):
            request(image, actor="reconcile")
            return ImageAnswer(message=f"Asking the registry what {image} means now")
        case ImageState.READY:
            return ImageAnswer(ready=True, reference=image.digest)
        case ImageState.FAILED if _may_be_tried_anew(image, since):
            request(image, actor="reconcile")
            return ImageAnswer(message=f"Image {image} is tried again")
        case ImageState.FAILED:
            return ImageAnswer(failed=True, message=_failure(image))
        case ImageState.REMOVED:
            request(image, actor="reconcile")
            return ImageAnswer(message=f"Image {image} was cleaned up and comes back")
        case _:
            return ImageAnswer(message=sentence(image), progress=image.progress)


def _may_be_tried_anew(image: Image, since: datetime) -> bool:
    """A failure answers those who waited for it; for whoever comes later it is tried anew, a build after BUILD_REST."""
    rest = BUILD_REST if image.context else timedelta()
    return image.failed_at is None or image.failed_at + rest < since


def _failure(image: Image) -> str:
    if not image.context:
        return f"Image {image} could not be pulled: {image.message}"
    rest = words.duration(BUILD_REST.total_seconds())
    return f"Image {image.name} could not be built, and is not built again for {rest}: {image.message}"


def percent(image: Image) -> int | None:
    """Of the build or pull under way; None when there is none, or nobody knows."""
    building = image.state == ImageState.BUILDING and image.progress is not None
    return round((image.progress or 0) * 100) if building else None


@transaction.atomic
def request(image: Image, *, actor: str) -> None:
    """Want it built or pulled; of one that follows a tag, what that means now. Asking while it is under way changes
    nothing.
    """
    idle = Image.objects.filter(pk=image.pk).exclude(state__in=UNDER_WAY)
    anew = {"reference": ""} if image.follows else {}
    if idle.update(**anew, state=ImageState.QUEUED, message="", progress=None, working_until=None):
        record(actor, "image.request", image.topic)
        publish(image.topic, "images")
    transaction.on_commit(lambda: ring_fetch(image.pk))


@transaction.atomic
def cancel(image: Image, *, actor: str) -> None:
    """It fails at once with that reason, and whoever works on it stops. Raises Conflict when nobody does."""
    under_way = Image.objects.filter(pk=image.pk, state__in=UNDER_WAY)
    failed = {"state": ImageState.FAILED, "failed_at": clock.now(), "message": f"Cancelled by {actor}."}
    if not under_way.update(**failed, working_until=None):
        raise Conflict(f"{image.name} is not being built or pulled, so there is nothing to cancel.", code="idle")
    record(actor, "image.cancel", image.topic)
    _tell(image)


def ring_fetch(name: str) -> None:
    """Builds take CPU, so few run at once; pulls only wait, so many may, and some that hang delay no other."""
    from environments import tasks

    built = Image.objects.filter(pk=name).exclude(context="").exists()
    ring(tasks.build_image if built else tasks.pull_image, name)


def ring_anew(image: Image) -> None:
    """For a launch that is refused because its image is not resolved: who refuses writes nothing."""
    from environments import tasks

    ring(tasks.try_image_anew, image.pk)


def try_anew(name: str) -> None:
    image = Image.objects.get(pk=name)
    if image.state == ImageState.FAILED and _may_be_tried_anew(image, clock.now()):
        request(image, actor="worker")


def ring_due() -> None:
    """Part of every tick: ring for what waits, and for what a dead worker left half done."""
    now = clock.now()
    left = Q(state=ImageState.BUILDING, working_until__lt=now)
    waiting = Q(state=ImageState.QUEUED) & (Q(working_until=None) | Q(working_until__lt=now))
    for name in Image.objects.filter(left | waiting).values_list("pk", flat=True):
        # Queued again, because nobody may claim what seems to be worked on
        later = now + timedelta(seconds=20)
        Image.objects.filter(left | waiting, pk=name).update(state=ImageState.QUEUED, working_until=later)
        ring_fetch(name)


def fetch(name: str) -> None:
    """Bring one image here. A second call while one works returns at once; a dead one's work begins anew."""
    image = _claim(name)
    if image is None:
        return
    try:
        with _kept(image):
            _resolve(image)
            found = runtime().find_image(image.reference)
            if found is None and _waits_for_base(image):
                return
            found = found or _make(image)
    except Superseded:
        return
    except EngineUnreachable as error:
        _mine(image).update(state=ImageState.QUEUED, message=str(error), working_until=None)
        publish(image.topic)
        return
    except RuntimeFailure as error:
        _settle(image, state=ImageState.FAILED, failed_at=clock.now(), message=str(error)[-2000:])
        return
    _arrived(image, found)


def _claim(name: str) -> Image | None:
    now = clock.now()
    free = Q(state=ImageState.QUEUED) | Q(state=ImageState.BUILDING, working_until__lt=now)
    claimed = Image.objects.filter(free, pk=name).update(
        state=ImageState.BUILDING,
        working_until=now + LEASE,
        attempt=F("attempt") + 1,
        progress=None,
        message="",
        log_tail="",
    )
    publish(f"image-{name}", "images")
    return Image.objects.select_related("base").get(pk=name) if claimed else None


def _mine(image: Image) -> QuerySet[Image]:
    """The row, as long as it is this attempt's; no row once it was cancelled or asked for anew."""
    return Image.objects.filter(pk=image.pk, attempt=image.attempt, state=ImageState.BUILDING)


def _resolve(image: Image) -> None:
    """What its tag means now; from here on only that digest counts."""
    if image.reference:
        return
    image.reference = runtime().resolve_image(image.tag)
    with transaction.atomic():
        if not _mine(image).update(reference=image.reference, resolved_at=clock.now()):
            raise Superseded
        record("worker", "image.resolve", image.topic, before={"tag": image.tag}, after={"reference": image.reference})
        publish(image.topic, "images", "catalog")


@transaction.atomic
def _arrived(image: Image, found: ImageInfo) -> None:
    ready = {"state": ImageState.READY, "message": "", "progress": 1.0, "ready_at": clock.now()}
    if _settle(image, digest=found.id, size=found.size, **ready):
        ImageCopy.objects.update_or_create(
            reference=image.reference,
            digest=found.id,
            defaults={"image": image, "size": found.size, "made_at": clock.now(), "kept_because": ""},
        )


def _waits_for_base(image: Image) -> bool:
    """True when the image it builds on is not there yet: that one is asked for, and this one waits in the queue."""
    base = image.base
    if base is None or not runtime().isolated:
        return False
    if base.state == ImageState.FAILED and not _may_be_tried_anew(base, clock.now()):
        raise EngineRefused(f"It builds on {base.name}, which could not be built: {base.message}")
    if base.state == ImageState.READY and runtime().find_image(base.reference) is not None:
        return False
    if base.state not in UNDER_WAY:
        request(base, actor="worker")
    waits = {"state": ImageState.QUEUED, "message": f"Waiting for image {base.name}", "working_until": None}
    _mine(image).update(**waits)
    publish(image.topic, "images")
    return True


@contextmanager
def _kept(image: Image) -> Iterator[None]:
    """Renew the lease from a thread: a build may be silent for minutes."""
    done = threading.Event()

    def renew() -> None:
        while not done.wait(RENEW_SECONDS):
            _mine(image).update(working_until=clock.now() + LEASE)
        connection.close()

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _make(image: Image) -> ImageInfo:
    report = _Reporter(image)
    if not image.context:
        return runtime().pull_image(image.reference, report)
    if runtime().isolated and contexts.DEBIAN in contexts.starts_from(image.context):
        _ensure_debian(report)
    with contexts.prepared(image.context) as folder:
        return runtime().build_image(image.reference, folder, report)


class _Reporter:
    """Writes progress to the row at most once a second, with the last lines as a log.

    Raises Superseded, which ends the build or pull, when the row is no longer this attempt's.
    """

    def __init__(self, image: Image) -> None:
        self.image, self.lines, self.written = image, list[str](), 0.0

    def __call__(self, progress: Progress) -> None:
        line = CONTROL.sub("", progress.message).strip()
        if line and line != (self.lines[-1] if self.lines else ""):
            self.lines = [*self.lines[-LOG_LINES:], line]
        if time.monotonic() - self.written < REPORT_SECONDS:
            return
        self.written = time.monotonic()
        written = _mine(self.image).update(
            progress=progress.fraction,
            message=(self.lines[-1] if self.lines else "")[:300],
            log_tail="\n".join(self.lines),
        )
        if not written:
            raise Superseded
        publish(self.image.topic)
        for allocation in _waiting_for(self.image):
            compute.ring_reconcile(allocation)


def _waiting_for(image: Image) -> list[str]:
    waiting = Allocation.objects.filter(phase=Phase.PULLING, spec__image_name=image.pk)
    return list(waiting.values_list("pk", flat=True))


@transaction.atomic
def _settle(image: Image, **changes: Any) -> bool:
    """False when it is no longer this attempt's to settle."""
    if not _mine(image).update(working_until=None, **changes):
        return False
    record("worker", f"image.{changes['state']}", image.topic, after={"digest": str(changes.get("digest", ""))})
    _tell(image)
    return True


def _tell(image: Image) -> None:
    """Wake what waits for it."""
    publish(image.topic, "images")
    for dependent in image.built_upon.filter(state=ImageState.QUEUED):
        transaction.on_commit(lambda pk=dependent.pk: ring_fetch(pk))  # type: ignore[misc]
    for allocation in _waiting_for(image):
        transaction.on_commit(lambda pk=allocation: compute.ring_reconcile(pk))  # type: ignore[misc]


def _ensure_debian(report: _Reporter) -> None:
    """The base image: pulled where a registry can be reached, made from Debian packages otherwise."""
    if runtime().find_image(contexts.DEBIAN) is not None:
        return
    report(Progress(None, f"Fetching the base image {contexts.DEBIAN}"))
    try:
        runtime().pull_image(contexts.DEBIAN, report)
    except EngineRefused as refused:
        report(
            Progress(None, f"No registry has it ({str(refused)[:120]}); making {contexts.DEBIAN} from Debian packages")
        )
        _bootstrap_debian()


def _bootstrap_debian() -> None:
    command = ["mmdebstrap", "--quiet", "--variant=minbase", "--include=ca-certificates", "bookworm", "-"]
    if settings.APT_MIRROR:
        command.append(f"{settings.APT_MIRROR}/debian")
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as made:
            assert made.stdout is not None and made.stderr is not None
            runtime().import_image(contexts.DEBIAN, cast(BinaryIO, made.stdout))
            problem = made.stderr.read().decode(errors="replace").strip()
    except FileNotFoundError as error:
        raise EngineRefused(
            f"{contexts.DEBIAN} cannot be pulled, and mmdebstrap is not installed to make it."
        ) from error
    if made.returncode:
        raise EngineRefused(f"{contexts.DEBIAN} cannot be pulled, and mmdebstrap failed: {problem[-300:]}")
