"""The runtime this process drives, made once from settings. Only `worker`, `images`, `pulls` and `agent` do."""

from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings

from runtimes.base import Runtime


def _options() -> dict[str, Any]:
    bundle = Path(settings.CA_BUNDLE) if settings.CA_BUNDLE else None
    match settings.RUNTIME:
        case "docker":
            return {
                "base_url": settings.ENGINE_URL or None,
                "networks": settings.CONTAINER_NETWORKS,
                "ca_bundle": bundle,
                "reachable": settings.REACHABLE_NETWORKS,
                "door": settings.SERVICES_PORT,
            }
        case "local":
            root = settings.BERTH_DATA / "runtime"
            return {"root": root, "ca_bundle": bundle, "pip_index_url": settings.PIP_INDEX_URL}
        case _:
            return {}


@cache
def runtime() -> Runtime:
    from runtimes import registry  # here, so that the web tier never loads an engine's SDK

    return registry.make(settings.RUNTIME, instance=settings.INSTANCE, **_options())
