"""Takes off the engine what images have left there and nothing needs any more."""

from datetime import timedelta

from django.db import transaction
from django.db.models import Q

from environments.models import Image, ImageCopy
from environments.states import ImageState
from portal.audit.actions import record
from portal.celery import ring
from portal.compute.engine import runtime
from portal.compute.models import Allocation
from portal.compute.states import Phase
from portal.lib import clock
from portal.live.redis import publish
from runtimes.base import EngineUnreachable, RuntimeFailure

AGAIN_AFTER = timedelta(minutes=1)


def needed() -> set[str]:
    """Names of images that a version on offer runs, or one that a workspace has, and what these build on."""
    offered = Q(versions__retired=False, versions__template__retired=False)
    kept = Q(versions__workspaces__isnull=False, versions__workspaces__deleted_at=None)
    bases = dict(Image.objects.values_list("name", "base_id"))
    found = set(Image.objects.filter(offered | kept).values_list("name", flat=True))
    waiting = list(found)
    while waiting:
        base = bases.get(waiting.pop())
        if base and base not in found:
            found.add(base)
            waiting.append(base)
    return found


def unused() -> list[ImageCopy]:
    """Copies that no needed image is, and that nothing runs; largest first."""
    current = set(Image.objects.filter(name__in=needed()).values_list("reference", "digest"))
    running = set(Allocation.objects.exclude(phase=Phase.ENDED).values_list("spec__image", flat=True))
    building = set(Image.objects.filter(state=ImageState.BUILDING).values_list("reference", flat=True))
    return [
        copy
        for copy in ImageCopy.objects.select_related("image").order_by("-size", "reference")
        if (copy.reference, copy.digest) not in current
        and copy.digest not in running
        and copy.reference not in building
    ]


@transaction.atomic
def request(*, actor: str) -> list[ImageCopy]:
    """Want all that is unused gone; a worker takes it away. Gives what it asked for."""
    from environments import tasks

    copies = unused()
    if copies:
        ImageCopy.objects.filter(pk__in=[copy.pk for copy in copies]).update(unwanted_at=clock.now(), kept_because="")
        references = [copy.reference for copy in copies]
        record(actor, "image.clean", "images", after={"references": references, "bytes": sum(c.size for c in copies)})
        publish("images")
        transaction.on_commit(lambda: ring(tasks.clean_images))
    return copies


def ring_due() -> None:
    """Part of every tick: ring for what is still to be taken away."""
    from environments import tasks

    left = ImageCopy.objects.filter(unwanted_at__lt=clock.now() - AGAIN_AFTER)
    if left.update(unwanted_at=clock.now()):
        ring(tasks.clean_images)


def clean() -> None:
    """Take away what was asked for, unless something needs it again."""
    free = {copy.pk for copy in unused()}
    for copy in ImageCopy.objects.filter(unwanted_at__isnull=False).select_related("image"):
        if copy.pk not in free:
            _keep(copy, "It is needed again.")
            continue
        _forget(copy)
        try:
            runtime().remove_image(_name_of(copy))
        except EngineUnreachable:
            return
        except RuntimeFailure as error:
            _keep(copy, str(error))
        else:
            copy.delete()
    publish("images")


def _forget(copy: ImageCopy) -> None:
    """Before it goes: whoever wants the image from now on has it fetched again."""
    same = Image.objects.filter(reference=copy.reference, digest=copy.digest)
    gone = {"state": ImageState.REMOVED, "digest": "", "size": None, "progress": None}
    same.filter(state=ImageState.READY).update(**gone)


def _name_of(copy: ImageCopy) -> str:
    """Its id where a newer build has taken its name over."""
    newer = ImageCopy.objects.filter(reference=copy.reference, made_at__gt=copy.made_at)
    return copy.digest if newer.exists() else copy.reference


def _keep(copy: ImageCopy, reason: str) -> None:
    ImageCopy.objects.filter(pk=copy.pk).update(unwanted_at=None, kept_because=reason[:300])
