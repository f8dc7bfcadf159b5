"""Pages of images: what is built, what is being built, why a build failed, where it is used, what nobody needs."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from environments import access, image_cleaning, images
from environments.models import Image
from environments.states import ImageState
from portal.accounts.access import signed_in
from portal.accounts.models import User
from portal.compute.models import Allocation
from portal.compute.states import Phase
from portal.lib.errors import Conflict, Forbidden
from portal.lib.words import size

TAIL_LINES = 12


@dataclass(frozen=True, slots=True)
class ImageRow:
    name: str
    title: str
    source: str
    state: str
    sentence: str
    percent: int | None
    size: int | None
    digest: str
    digest_short: str
    built_at: datetime | None
    used_by: list[str]
    built_upon_by: list[str]
    running: int
    error: str
    log_tail: list[str]
    topic: str
    can_build: bool
    build_label: str
    can_cancel: bool
    cancel_label: str


def _source(image: Image) -> str:
    if image.named:
        return "named by jobs"
    if image.context:
        return f"built from images/{image.context}"
    return f"{image.tag} = {image.reference}" if image.tag and image.reference else image.tag or image.reference


def _row(image: Image, user: User, running: Counter[str]) -> ImageRow:
    failed = image.state == ImageState.FAILED
    lines = image.log_tail.splitlines()
    labels = {
        ImageState.FAILED: "Retry",
        ImageState.READY: "Build again" if image.context else "Pull again",
        ImageState.REMOVED: "Build" if image.context else "Pull",
    }
    return ImageRow(
        name=image.name,
        title=str(image),
        source=_source(image),
        state=image.state,
        sentence=image.message if image.state == ImageState.BUILDING and image.message else images.in_short(image),
        percent=images.percent(image),
        size=image.size,
        digest=image.digest,
        digest_short=image.digest.removeprefix("sha256:")[:12],
        built_at=image.ready_at,
        used_by=_used_by(image),
        built_upon_by=[dependent.name for dependent in image.built_upon.all()],
        running=running[image.digest] if image.digest else 0,
        error=image.message.partition("\n")[0] if failed else "",
        log_tail=lines[-TAIL_LINES:] if failed else [],
        topic=image.topic,
        can_build=user.is_staff and image.state in labels,
        build_label=labels.get(ImageState(image.state), "Build"),
        can_cancel=user.is_staff and image.state in images.UNDER_WAY,
        cancel_label="Cancel build" if image.context else "Cancel pull",
    )


def _used_by(image: Image) -> list[str]:
    versions = image.versions.all()
    if image.named:
        return sorted({version.template.name for version in versions})
    retired = {v.pk for v in versions if v.retired or v.template.retired}
    return sorted({f"{v.template.name} {v.version}{' (retired)' if v.pk in retired else ''}" for v in versions})


def _rows(found: Iterable[Image], user: User) -> list[ImageRow]:
    rows = list(found)
    digests = {image.digest for image in rows if image.digest}
    held = Allocation.objects.exclude(phase=Phase.ENDED).filter(spec__image__in=digests)
    running = Counter(held.values_list("spec__image", flat=True))
    return [_row(image, user, running) for image in rows]


@login_required
@require_safe
def list_images(request: HttpRequest) -> HttpResponse:
    user = signed_in(request.user)
    rows = _rows(access.images_for(user), user)
    unused = image_cleaning.unused() if user.is_staff else []
    context = {
        "images": rows,
        "unused_count": len(unused),
        "unused_bytes": sum(copy.size for copy in unused),
        "live_topics": ["images", *(row.topic for row in rows)],
    }
    return render(request, "images/list.html", context)


@login_required
@require_safe
def detail(request: HttpRequest, name: str) -> HttpResponse:
    user = signed_in(request.user)
    image = access.image_for(user, name)
    [row] = _rows([image], user)
    context = {"image": row, "log": image.log_tail.splitlines(), "live_topics": [row.topic]}
    return render(request, "images/detail.html", context)


@login_required
@require_safe
def fragment(request: HttpRequest, name: str) -> HttpResponse:
    user = signed_in(request.user)
    [row] = _rows([access.image_for(user, name)], user)
    return render(request, "images/list.html#row", {"image": row})


def _administrator(request: HttpRequest) -> User:
    user = signed_in(request.user)
    if not user.is_staff:
        raise Forbidden("Only administrators look after images.")
    return user


def _button(request: HttpRequest, name: str, action: Callable[..., None], said: str) -> HttpResponse:
    user = _administrator(request)
    try:
        action(access.image_for(user, name), actor=user.username)
        messages.success(request, said)
    except Conflict as problem:
        messages.error(request, problem.detail)
    return redirect("image", name)


@login_required
@require_POST
def build(request: HttpRequest, name: str) -> HttpResponse:
    return _button(request, name, images.request, f"{name} will be fetched; this page shows how far it is.")


@login_required
@require_POST
def cancel(request: HttpRequest, name: str) -> HttpResponse:
    return _button(request, name, images.cancel, f"{name} is cancelled. Press Retry to begin anew.")


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def unused(request: HttpRequest) -> HttpResponse:
    """GET lists what nobody needs, POST has it removed."""
    user = _administrator(request)
    if request.method != "POST":
        copies = image_cleaning.unused()
        total = sum(copy.size for copy in copies)
        return render(request, "images/unused.html", {"copies": copies, "total": total, "live_topics": ["images"]})
    copies = image_cleaning.request(actor=user.username)
    freed = size(sum(copy.size for copy in copies))
    messages.success(request, f"{len(copies)} images, {freed}, are being removed." if copies else "Nothing is unused.")
    return redirect("image-unused")
