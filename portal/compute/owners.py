"""Who owns an allocation: `environments` and `jobs` register here and are told when theirs moves."""

from dataclasses import dataclass
from typing import Protocol

from portal.compute.models import Allocation, Transition


@dataclass(frozen=True, slots=True)
class Image:
    """How far the image is. `reference` is what the engine runs (an id or digest) once `ready`."""

    ready: bool = False
    failed: bool = False
    reference: str = ""
    message: str = ""
    progress: float | None = None


class Owner(Protocol):
    """What compute asks of the app that owns an allocation."""

    def image(self, allocation: Allocation) -> Image:
        """State of the image it wants; asks for it to be fetched when it is not there."""

    def image_gone(self, allocation: Allocation) -> None:
        """The engine does not have the image that was said to be ready."""

    def moved(self, allocation: Allocation, transition: Transition) -> None:
        """Called inside the transition's transaction, after it was written."""


class Observer(Protocol):
    """Sees every transition inside its transaction, whoever owns it (metering does)."""

    def __call__(self, allocation: Allocation, transition: Transition) -> None: ...


_owners: dict[str, Owner] = {}
_observers: list[Observer] = []


def register(kind: str, owner: Owner) -> None:
    _owners[kind] = owner


def observe(observer: Observer) -> None:
    if observer not in _observers:
        _observers.append(observer)


def owner_of(allocation: Allocation) -> Owner:
    return _owners[allocation.owner_kind]


def tell(allocation: Allocation, transition: Transition) -> None:
    for observer in _observers:
        observer(allocation, transition)
    owner_of(allocation).moved(allocation, transition)
