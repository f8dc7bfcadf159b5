"""Images on the engine: requested, built or pulled by one worker at a time, with progress."""

import hashlib
import logging
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, cast

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q

from environments.models import Image
from environments.states import ImageState
from portal.audit.actions import record
from portal.celery import ring
from portal.compute import actions as compute
from portal.compute.engine import runtime
from portal.compute.models import Allocation
from portal.compute.states import Phase
from portal.lib import clock
from portal.live.redis import publish
from runtimes.base import EngineRefused, EngineUnreachable, ImageInfo, Progress, RuntimeFailure

logger = logging.getLogger(__name__)

CONTEXTS = settings.BASE_DIR / "images"
BASE = "debian:bookworm-slim"
LEASE = timedelta(seconds=45)
RENEW_SECONDS = 15.0
LOG_LINES = 200
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f]")


def reference_of(context: str) -> str:
    """Tag of what `images/<context>/` builds: equal content has an equal tag, so it is built once per engine."""
    content = hashlib.sha256()
    folder = CONTEXTS / context
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        content.update(f"{path.relative_to(folder)}\0{path.stat().st_mode & 0o111}\0".encode())
        content.update(path.read_bytes())
    return f"berth/{context}:{content.hexdigest()[:12]}"


def sentence(image: Image) -> str:
    """The state in words."""
    match image.state:
        case ImageState.BUILDING:
            percent = "" if image.progress is None else f", {image.progress:.0%}"
            return f"{'Building' if image.context else 'Pulling'} the image{percent}"
        case ImageState.FAILED:
            return "The last build failed"
        case _:
            return ImageState(image.state).label


def percent(image: Image) -> int | None:
    """Of the build or pull under way; None when there is none, or nobody knows."""
    building = image.state == ImageState.BUILDING and image.progress is not None
    return round((image.progress or 0) * 100) if building else None


@transaction.atomic
def request(image: Image, *, actor: str) -> None:
    """Want it built or pulled. Asking while it is under way changes nothing."""
    idle = Image.objects.filter(pk=image.pk, state__in=[ImageState.READY, ImageState.FAILED])
    if idle.update(state=ImageState.QUEUED, message="", progress=None, working_until=None):
        record(actor, "image.request", image.topic)
        publish(image.topic, "images")
    transaction.on_commit(lambda: ring_fetch(image.pk))


def ring_fetch(name: str) -> None:
    from environments import tasks

    ring(tasks.fetch_image, name)


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
            found = runtime().find_image(image.reference) or _make(image)
    except EngineUnreachable as error:
        Image.objects.filter(pk=name).update(state=ImageState.QUEUED, message=str(error), working_until=None)
        publish(image.topic)
        return
    except RuntimeFailure as error:
        _settle(image, state=ImageState.FAILED, message=str(error)[-2000:])
        return
    _settle(
        image,
        state=ImageState.READY,
        message="",
        digest=found.id,
        size=found.size,
        ready_at=clock.now(),
        progress=1.0,
    )


def _claim(name: str) -> Image | None:
    now = clock.now()
    free = Q(state=ImageState.QUEUED) | Q(state=ImageState.BUILDING, working_until__lt=now)
    claimed = Image.objects.filter(free, pk=name).update(
        state=ImageState.BUILDING, working_until=now + LEASE, progress=None, message="", log_tail=""
    )
    publish(f"image-{name}", "images")
    return Image.objects.get(pk=name) if claimed else None


@contextmanager
def _kept(image: Image) -> Iterator[None]:
    """Renew the lease from a thread: a build may be silent for minutes."""
    done = threading.Event()

    def renew() -> None:
        while not done.wait(RENEW_SECONDS):
            Image.objects.filter(pk=image.pk).update(working_until=clock.now() + LEASE)
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
    if runtime().isolated:
        _ensure_base(report)
    return runtime().build_image(image.reference, CONTEXTS / image.context, report)


class _Reporter:
    """Writes progress to the row at most once a second, with the last lines as a log."""

    def __init__(self, image: Image) -> None:
        self.image, self.lines, self.written = image, list[str](), 0.0

    def __call__(self, progress: Progress) -> None:
        line = CONTROL.sub("", progress.message).strip()
        if line and line != (self.lines[-1] if self.lines else ""):
            self.lines = [*self.lines[-LOG_LINES:], line]
        if time.monotonic() - self.written < 1.0:
            return
        self.written = time.monotonic()
        Image.objects.filter(pk=self.image.pk).update(
            progress=progress.fraction,
            message=(self.lines[-1] if self.lines else "")[:300],
            log_tail="\n".join(self.lines),
        )
        publish(self.image.topic)
        for allocation in _waiting_for(self.image):
            compute.ring_reconcile(allocation)


def _waiting_for(image: Image) -> list[str]:
    owners = image.versions.values("workspaces__pk")
    waiting = Allocation.objects.filter(phase=Phase.PULLING, owner_kind="workspace", owner_id__in=owners)
    return list(waiting.values_list("pk", flat=True))


@transaction.atomic
def _settle(image: Image, **changes: object) -> None:
    Image.objects.filter(pk=image.pk).update(working_until=None, **changes)
    record("worker", f"image.{changes['state']}", image.topic, after={"digest": str(changes.get("digest", ""))})
    publish(image.topic, "images")
    for allocation in _waiting_for(image):
        transaction.on_commit(lambda pk=allocation: compute.ring_reconcile(pk))  # type: ignore[misc]


def _ensure_base(report: _Reporter) -> None:
    """The base image: pulled where a registry can be reached, made from Debian packages otherwise."""
    if runtime().find_image(BASE) is not None:
        return
    report(Progress(None, f"Fetching the base image {BASE}"))
    try:
        runtime().pull_image(BASE, report)
    except EngineRefused as refused:
        report(Progress(None, f"No registry has it ({str(refused)[:120]}); making {BASE} from Debian packages"))
        _bootstrap_base()


def _bootstrap_base() -> None:
    command = ["mmdebstrap", "--quiet", "--variant=minbase", "--include=ca-certificates", "bookworm", "-"]
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as made:
            assert made.stdout is not None and made.stderr is not None
            runtime().import_image(BASE, cast(BinaryIO, made.stdout))
            problem = made.stderr.read().decode(errors="replace").strip()
    except FileNotFoundError as error:
        raise EngineRefused(f"{BASE} cannot be pulled, and mmdebstrap is not installed to make it.") from error
    if made.returncode:
        raise EngineRefused(f"{BASE} cannot be pulled, and mmdebstrap failed: {problem[-300:]}")


def context_exists(context: str) -> bool:
    return Path(CONTEXTS / context / "Dockerfile").is_file()
