"""Collects one container's log as the agent does, into an archive of its own; run by `logs` in a process of its own."""

import json
import os
import resource
import secrets
import sys
import time
from typing import Any

import django
from django.core.management import call_command


def main(name: str) -> None:
    """Its last line of output is what it took."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"
    django.setup()
    call_command("migrate", verbosity=0)
    print(json.dumps(_collect(name)))


def _collect(name: str) -> dict[str, float]:
    from portal.compute.agent import collecting
    from portal.compute.log_reading import last_seq
    from portal.compute.logs import ChunkWriter

    writer = ChunkWriter(_allocation(), ("a-secret-of-the-workspace", "another-one"))
    began = time.perf_counter()
    collecting._copy(name, writer)
    took = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": took, "lines": last_seq(writer.allocation), "peak_kib": peak}


def _allocation() -> Any:
    from portal.accounts.actions import create_team, create_user
    from portal.compute.models import GIB, Allocation, Size

    word = secrets.token_hex(4)
    return Allocation.objects.create(
        owner_kind="workspace",
        owner_id=word,
        user=create_user(word, word, secrets.token_hex(), actor="benchmark"),
        team=create_team(word, word, actor="benchmark"),
        size=Size.objects.get_or_create(slug="log", defaults={"cpu": 1, "memory_gib": 1})[0],
        cpu=1,
        memory=GIB,
        spec={},
    )


if __name__ == "__main__":
    main(sys.argv[1])
