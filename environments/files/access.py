"""The only way to a volume: which ones a person has, and what they may do there."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Q

from environments.access import datasets_for
from environments.models import Dataset, Volume
from environments.states import VolumeKind
from portal.accounts import access
from portal.accounts.models import Team, User
from portal.compute.models import GIB
from portal.lib import words
from portal.lib.errors import Forbidden, Next, NotFound
from portal.quotas.models import ResourceLimit
from portal.quotas.states import Resource

GB = GIB
WARN_AT = 0.9
SHOWN = (VolumeKind.HOME, VolumeKind.TEAM, VolumeKind.DATASET)
"""Of the others, their own apps say who may see them."""


@dataclass(frozen=True, slots=True)
class Place:
    """A volume as one person sees it; `volume` is None until it is first asked for."""

    key: str
    kind: VolumeKind
    title: str
    about: str
    inside: str
    may_write: bool
    whose: User | Team | Dataset
    volume: Volume | None = None
    limit: int | None = None
    above: tuple[str, str] = ("Files", "/files/")
    """Label and address of what it is a part of."""

    @property
    def used(self) -> int | None:
        return self.volume.used if self.volume else None

    @property
    def nearly_full(self) -> bool:
        return bool(self.limit and self.used is not None and self.used >= WARN_AT * self.limit)

    @property
    def usage(self) -> str:
        """37 GB of 50 GB; nothing before the first measurement."""
        if self.used is None:
            return ""
        return words.size(self.used) + (f" of {words.size(self.limit)}" if self.limit else "")


_finders: list[Callable[[User, str], Place | None]] = []


def also(finder: Callable[[User, str], Place | None]) -> None:
    """Let another app show volumes of its own, by the key in the address. It raises the Problem of who may not."""
    if finder not in _finders:
        _finders.append(finder)


def places_of(user: User) -> list[Place]:
    """Home, the folders of the person's teams, then datasets; as many queries for many as for one."""
    teams, datasets = list(access.teams_of(user)), list(datasets_for(user))
    led = {team.slug for team in access.leads(user)}
    whose = Q(owner=user) | Q(team__in=teams) | Q(dataset__in=datasets)
    volumes = {
        volume.owner_id or volume.team_id or volume.dataset_id: volume
        for volume in Volume.objects.filter(whose, delete_requested_at=None, kind__in=SHOWN)
    }
    limit = ResourceLimit.objects.filter(resource=Resource.STORAGE).first() or ResourceLimit()
    return [
        _home(user, volumes.get(user.pk), _bytes(limit.each_person)),
        *(_team(team, volumes.get(team.pk), _bytes(limit.each_team)) for team in teams),
        *(_dataset(one, user.is_staff or one.kept_by in led, volumes.get(one.pk)) for one in datasets),
    ]


def place_for(user: User, key: str, *, write: bool = False) -> Place:
    """Raises NotFound for what the person may not know of, Forbidden for what they may only read."""
    place = elsewhere(user, key) or next((one for one in places_of(user) if one.key == key), None)
    if place is None:
        raise NotFound("There is no such folder, or it is not yours.", next_step=Next("Your files", "/files/"))
    if write and not place.may_write:
        raise Forbidden(f"{place.title} is read-only for you.", next_step=Next("Your files", "/files/"))
    return place


def elsewhere(user: User, key: str) -> Place | None:
    """A volume of another app; None where the key is none of theirs. Raises the Problem of who may not read it."""
    return next(filter(None, (finder(user, key) for finder in _finders)), None)


def require_write(user: User, volume_id: str) -> None:
    """The right may have ended since the upload began. Raises NotFound or Forbidden as `place_for`."""
    keys = (place.key for place in places_of(user) if place.volume and place.volume.pk == volume_id)
    place_for(user, next(keys, ""), write=True)


def _bytes(limit: Decimal | None) -> int | None:
    return None if limit is None else int(limit * GB)


def _home(user: User, volume: Volume | None, limit: int | None) -> Place:
    about = "Yours alone; the same in all your workspaces"
    return Place("home", VolumeKind.HOME, "Home", about, "/home/berth", True, user, volume, limit)


def _team(team: Team, volume: Volume | None, limit: int | None) -> Place:
    about = f"Everybody in {team.name} reads and writes here"
    return Place(
        f"team-{team.slug}", VolumeKind.TEAM, team.name, about, f"/home/{team.slug}", True, team, volume, limit
    )


def _dataset(dataset: Dataset, keeps: bool, volume: Volume | None) -> Place:
    key, inside = f"data-{dataset.pk}", f"/data/{dataset.pk}"
    return Place(key, VolumeKind.DATASET, dataset.pk, dataset.summary, inside, keeps, dataset, volume)
