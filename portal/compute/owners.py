"""Who owns an allocation: `environments` and `jobs` register here and are told when theirs moves."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from portal.compute.lines import Line
from portal.compute.models import Allocation, Transition


@dataclass(frozen=True, slots=True)
class Image:
    """How far the image is. `reference` is what the engine runs (an id or digest) once `ready`."""

    ready: bool = False
    failed: bool = False
    reference: str = ""
    message: str = ""
    progress: float | None = None


class Undeliverable(Exception):
    """Something that the container was promised cannot be given; the message is one sentence with the next step."""


@dataclass(frozen=True, slots=True)
class Subject:
    """`ends_at`: when it ends by its own rules, `idle_since`: since when it does nothing; as far as anybody can say."""

    name: str
    url: str
    ends_at: datetime | None = None
    idle_since: datetime | None = None


class Owned(Protocol):
    """A row that says by kind and id whose it is."""

    owner_kind: str
    owner_id: str


class Named(Protocol):
    def subjects(self, owner_ids: Collection[str]) -> Mapping[str, Subject]:
        """What people call these, and the page of each. One query for each kind of them."""


class Owner(Named, Protocol):
    """What compute asks of the app that owns an allocation. `stays` says what is left when it is stopped, `moves` what
    becomes of it when its node is emptied. `preemptible`: it may be ended at any time, and begins anew by itself."""

    stays: str
    moves: str
    preemptible: bool

    def image(self, allocation: Allocation) -> Image:
        """State of the image it wants; asks for it to be fetched when it is not there."""

    def image_gone(self, allocation: Allocation) -> None:
        """The engine does not have the image that was said to be ready."""

    def usable_by(self, allocation: Allocation, user_id: str) -> bool:
        """Whether that person may run programs in it."""

    def files(self, allocation: Allocation) -> Mapping[str, bytes]:
        """Placed into the container before it starts (runtimes.base.Spec.files) and kept nowhere.

        Raises Undeliverable.
        """

    def hidden(self, allocation: Allocation) -> list[str]:
        """Texts that its log may not show."""

    def logged(self, allocation: Allocation, lines: Sequence[Line]) -> None:
        """Called with each run of lines in the transaction that stores them: once for every line."""

    def observed(self, allocation: Allocation) -> None:
        """What runs in it was asked just now: its Activity says what was found."""

    def moved(self, allocation: Allocation, transition: Transition) -> None:
        """Called inside the transition's transaction, after it was written."""

    def stop(self, allocation: Allocation, *, actor: str, message: str) -> None:
        """End what it runs for, for good; `message` is the sentence its people read."""


class Observer(Protocol):
    """Sees every transition inside its transaction, whoever owns it (metering does)."""

    def __call__(self, allocation: Allocation, transition: Transition) -> None: ...


class Meter(Protocol):
    """Hears what each running allocation used in so many seconds, whoever owns it (metering does).

    `used` is in core-seconds (`cpu`) and device-seconds (`gpu`); what nobody measured is not in it.
    """

    def __call__(self, allocation: Allocation, seconds: float, used: Mapping[str, float]) -> None: ...


_owners: dict[str, Owner] = {}
_named: dict[str, Named] = {}
_observers: list[Observer] = []
_meters: list[Meter] = []


def register(kind: str, owner: Owner) -> None:
    _owners[kind] = owner
    name(kind, owner)


def name(kind: str, named: Named) -> None:
    """Of what costs something, and has no allocations."""
    _named[kind] = named


def observe(observer: Observer) -> None:
    if observer not in _observers:
        _observers.append(observer)


def measure(meter: Meter) -> None:
    if meter not in _meters:
        _meters.append(meter)


def preemptible() -> list[str]:
    """The kinds that are."""
    return [kind for kind, owner in _owners.items() if owner.preemptible]


def owner_of(allocation: Allocation) -> Owner:
    return _owners[allocation.owner_kind]


def subjects(rows: Iterable[Owned]) -> dict[str, Subject]:
    """By owner id, of whatever kind."""
    kinds: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        kinds[row.owner_kind].add(row.owner_id)
    return {pk: found for kind, pks in kinds.items() for pk, found in _named[kind].subjects(pks).items()}


def find(owner_ids: Collection[str]) -> dict[str, Subject]:
    """By id, of whatever kind; what is no longer there is left out. One query for each kind."""
    return {pk: found for named in _named.values() for pk, found in named.subjects(owner_ids).items()}


def subject(allocation: Allocation) -> Subject:
    return subjects([allocation])[allocation.owner_id]


def tell(allocation: Allocation, transition: Transition) -> None:
    for observer in _observers:
        observer(allocation, transition)
    owner_of(allocation).moved(allocation, transition)


def tell_use(allocation: Allocation, seconds: float, used: Mapping[str, float]) -> None:
    for meter in _meters:
        meter(allocation, seconds, used)
