"""Pages of images: what is built, what is being built, and why a build failed."""

from dataclasses import dataclass
from datetime import datetime

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from environments import access, images
from environments.models import Image
from environments.states import ImageState
from portal.accounts.access import signed_in
from portal.accounts.models import User
from portal.lib.errors import Forbidden

TAIL_LINES = 12


@dataclass(frozen=True, slots=True)
class ImageRow:
    name: str
    source: str
    state: str
    sentence: str
    percent: int | None
    size: int | None
    digest_short: str
    built_at: datetime | None
    used_by: list[str]
    error: str
    log_tail: list[str]
    topic: str
    can_build: bool
    build_label: str


def _row(image: Image, user: User) -> ImageRow:
    failed = image.state == ImageState.FAILED
    lines = image.log_tail.splitlines()
    labels = {ImageState.FAILED: "Retry", ImageState.READY: "Build again"}
    return ImageRow(
        name=image.name,
        source=f"built from images/{image.context}" if image.context else image.reference,
        state=image.state,
        sentence=image.message if image.state == ImageState.BUILDING and image.message else images.sentence(image),
        percent=images.percent(image),
        size=image.size,
        digest_short=image.digest.removeprefix("sha256:")[:12],
        built_at=image.ready_at,
        used_by=sorted({f"{version.template.name} {version.version}" for version in image.versions.all()}),
        error=image.message if failed else "",
        log_tail=lines[-TAIL_LINES:] if failed else [],
        topic=image.topic,
        can_build=user.is_staff and image.state in labels,
        build_label=labels.get(ImageState(image.state), "Build"),
    )


@login_required
@require_safe
def list_images(request: HttpRequest) -> HttpResponse:
    user = signed_in(request.user)
    rows = [_row(image, user) for image in Image.objects.prefetch_related("versions__template")]
    topics = ["images", *(row.topic for row in rows)]
    return render(request, "images/list.html", {"images": rows, "live_topics": topics})


@login_required
@require_safe
def detail(request: HttpRequest, name: str) -> HttpResponse:
    image = access.image_named(name)
    row = _row(image, signed_in(request.user))
    context = {"image": row, "log": image.log_tail.splitlines(), "live_topics": [row.topic]}
    return render(request, "images/detail.html", context)


@login_required
@require_safe
def fragment(request: HttpRequest, name: str) -> HttpResponse:
    return render(request, "images/list.html#row", {"image": _row(access.image_named(name), signed_in(request.user))})


@login_required
@require_POST
def build(request: HttpRequest, name: str) -> HttpResponse:
    user = signed_in(request.user)
    if not user.is_staff:
        raise Forbidden("Only administrators build images.")
    images.request(access.image_named(name), actor=user.username)
    messages.success(request, f"{name} will be built; this page shows how far it is.")
    return redirect("image", name)
