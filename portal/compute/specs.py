"""From an allocation to what a driver may run: names, labels, and the template's placeholders filled in."""

from datetime import timedelta
from typing import Any

from django.conf import settings

from portal.compute import owners
from portal.compute.decide import STOP_GRACE
from portal.compute.models import Allocation, GpuHold
from portal.lib.crypto import derive
from runtimes.base import Mount, Spec


def container_name(allocation: Allocation, generation: int | None = None) -> str:
    return f"berth-{settings.INSTANCE}-{allocation.pk}-g{generation or allocation.generation}"


def secret_of(allocation: Allocation) -> str:
    """What only the gateway and this container generation know; derived, so kept nowhere."""
    return derive(settings.SECRET_KEY, "container", allocation.pk, str(allocation.generation))


def labels(allocation: Allocation) -> dict[str, str]:
    return {
        "berth.instance": settings.INSTANCE,
        "berth.allocation": allocation.pk,
        "berth.owner": allocation.owner_id,
        "berth.generation": str(allocation.generation),
    }


def grace(allocation: Allocation) -> timedelta:
    """How long it may take to end when it is asked to."""
    seconds = allocation.spec.get("grace_seconds")
    return STOP_GRACE if seconds is None else timedelta(seconds=seconds)


def render(allocation: Allocation) -> Spec:
    """The Spec of this generation. Of what serves a port, `{secret}` and `{prefix}` are filled in here, `{port}` by the
    driver.

    Its files are what the owner has to give now. Raises Undeliverable.
    """
    stored: dict[str, Any] = allocation.spec
    served = stored["port"] is not None
    known = {"{secret}": secret_of(allocation), "{prefix}": stored["prefix"]} if served else {}

    def filled(text: str) -> str:
        for placeholder, value in known.items():
            text = text.replace(placeholder, value)
        return text

    return Spec(
        name=container_name(allocation),
        image=stored["image"],
        labels=labels(allocation),
        network=f"berth-{settings.INSTANCE}-{allocation.user_id}".lower(),
        cpu=float(allocation.cpu),
        memory=allocation.memory,
        port=stored["port"],
        command=tuple(filled(part) for part in stored["command"]),
        environment={name: filled(value) for name, value in stored["environment"].items()},
        mounts=tuple(
            Mount(m["volume"], m["target"], m["read_only"], {"berth.instance": settings.INSTANCE})
            for m in stored["mounts"]
        ),
        gpus=_gpus(allocation),
        folders=tuple(stored.get("folders", ())),
        knows_host=stored.get("knows_host", False),
        files=owners.owner_of(allocation).files(allocation),
    )


def _gpus(allocation: Allocation) -> tuple[str, ...]:
    if not allocation.gpu_count:
        return ()
    held = GpuHold.objects.filter(allocation=allocation, until=None)
    return tuple(held.values_list("device__uuid", flat=True))
