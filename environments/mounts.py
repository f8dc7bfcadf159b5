"""Where people's files appear in a workspace: their home, their teams' folders, what else they chose to read."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from django.db.models import QuerySet

from environments import access, volumes
from environments.files.access import Place, elsewhere
from environments.models import Dataset, Volume, Workspace
from environments.states import VolumeKind
from portal.accounts.access import teams_of
from portal.accounts.models import User
from portal.lib.errors import Problem


def inside(volume: Volume) -> str:
    """The folder in a workspace."""
    match volume.kind:
        case VolumeKind.TEAM:
            assert volume.team is not None
            return f"/home/{volume.team.slug}"
        case VolumeKind.DATASET:
            return f"/data/{volume.dataset_id}"
        case _:
            return "/home/berth"


def mounts_of(workspace: Workspace) -> list[dict[str, Any]]:
    chosen = Dataset.objects.filter(workspaces=workspace)
    others = [
        mount(place.volume, f"/data/{place.key}", read_only=True)
        for place in readable(workspace.owner, workspace.places)
        if place.volume
    ]
    return mounts_for(workspace.owner, workspace.home, chosen) + others


def readable(owner: User, keys: Sequence[str]) -> list[Place]:
    """Those of other apps that are there, and that the owner may read now."""
    found = []
    for key in keys:
        with suppress(Problem):
            place = elsewhere(owner, key)
            found += [place] if place and place.volume else []
    return found


def mounts_for(owner: User, home: Volume, chosen: QuerySet[Dataset]) -> list[dict[str, Any]]:
    """By the owner's rights at this moment: who left a team starts without its folder, and without its datasets.

    `home` is what lies at /home/berth.
    """
    allowed = access.datasets_for(owner).filter(pk__in=chosen)
    found = [
        home,
        *(volumes.of_team(team) for team in teams_of(owner)),
        *(volumes.of_dataset(dataset) for dataset in allowed),
    ]
    return [mount(volume, inside(volume), read_only=volume.kind == VolumeKind.DATASET) for volume in found]


def mount(volume: Volume, target: str, *, read_only: bool) -> dict[str, Any]:
    return {"volume": volume.engine_name, "target": target, "read_only": read_only}
