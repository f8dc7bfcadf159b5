"""What people call a volume, and whom it is charged to.

A team pays for its folder, for the datasets that it keeps, and for the home of each person whose first team it is.
Other apps say it of their volumes themselves.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from environments.models import Volume
from environments.states import VolumeKind
from portal.accounts.models import Membership, User
from portal.compute.owners import Subject
from portal.usage.storage import Payer


@dataclass(frozen=True, slots=True)
class Charged:
    name: str
    payer: Payer


Finder = Callable[[Collection[str]], Mapping[str, Charged]]

_finders: list[Finder] = []


def also(finder: Finder) -> None:
    """Let another app say it of its volumes, by their ids."""
    if finder not in _finders:
        _finders.append(finder)


def charged(volumes: Iterable[Volume]) -> dict[str, Charged]:
    """By id. As many queries for many as for one, if their owners, teams and datasets are known."""
    volumes = list(volumes)
    teams = _first_teams(volumes)
    found = {volume.pk: _charged(volume, teams) for volume in volumes}
    elsewhere = [volume.pk for volume in volumes if volume.kind in (VolumeKind.JOB, VolumeKind.MODEL)]
    for finder in _finders if elsewhere else ():
        found |= finder(elsewhere)
    return found


def _charged(volume: Volume, first_teams: Mapping[str, str]) -> Charged:
    if volume.team:
        return Charged(f"Folder of {volume.team.name}", Payer(team=volume.team.slug))
    if volume.dataset:
        return Charged(f"Dataset {volume.dataset.pk}", Payer(team=volume.dataset.kept_by))
    owner: User = volume.owner  # type: ignore[assignment]  # a constraint says so
    what = "Home" if volume.kind == VolumeKind.HOME else "Files"
    payer = Payer(team=first_teams.get(owner.pk, ""), user=owner.username)
    return Charged(f"{what} of {owner.get_full_name()}", payer)


def _first_teams(volumes: Iterable[Volume]) -> dict[str, str]:
    """The team that each owner has been in for longest."""
    owners = {volume.owner_id for volume in volumes if volume.owner_id}
    rows = Membership.objects.filter(user__in=owners).order_by("user", "pk").distinct("user")
    return dict(rows.values_list("user", "team__slug"))


class Files:
    """Volumes as what usage is of (see portal.compute.owners.Named)."""

    def subjects(self, owner_ids: Collection[str]) -> Mapping[str, Subject]:
        rows = Volume.objects.filter(pk__in=owner_ids).select_related("owner", "team", "dataset")
        return {pk: Subject(one.name, "/files/") for pk, one in charged(rows).items()}
