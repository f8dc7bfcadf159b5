"""An engine in memory, with a clock of its own and faults on demand: what the fake driver drives."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from runtimes.base import ContainerState, ImageInfo, LogLine, Observation, Process, Spec
from runtimes.lines import LineSplitter


class Fault(StrEnum):
    HANG = "hang"
    """No answer, and nothing was done."""
    UNANSWERED = "unanswered"
    """No answer, but it was done."""
    ERROR = "error"
    """The engine says no; nothing was done."""
    IMAGE_MISSING = "image_missing"
    SLOW = "slow"
    """`ensure` comes back at once; the container runs only after `FakeEngine.slow_for`."""
    NEVER = "never"
    """`ensure` comes back at once; the container stays created for ever."""
    DIES = "dies"
    """The container ends right after its start, with `FakeEngine.dies_with`."""
    LOST = "lost"
    """The container vanishes right after its start."""
    DUPLICATE = "duplicate"
    """A container of the generation before runs beside the new one."""


@dataclass(frozen=True, slots=True)
class Program:
    """What a command does when it runs: its output, and its exit code, or None to run until stopped."""

    output: bytes = b""
    errors: bytes = b""
    exit_code: int | None = None
    on_stop: int = 143
    out_of_memory: bool = False


@dataclass(slots=True)
class FakeContainer:
    """One container; the engine's clock moves it from created to running at `runs_from`."""

    spec: Spec
    labels: Mapping[str, str]
    runs_from: datetime | None = None
    finished_at: datetime | None = None
    exit_code: int | None = None
    out_of_memory: bool = False
    lines: list[LogLine] = field(default_factory=list)
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    processes: list[Process] = field(default_factory=list)
    frozen: bool = False


@dataclass(slots=True)
class _Planned:
    fault: Fault
    verb: str
    name: str | None
    times: int


def _now() -> datetime:
    return datetime.now(UTC)


class FakeEngine:
    """What several FakeRuntime objects of one process share. `clock` may be a test's own.

    `address_of` says where a running container is reached, so that a test can point it at a real server.
    `programs` says what a command does; one that is not there runs until it is stopped.
    """

    def __init__(
        self,
        clock: Callable[[], datetime] = _now,
        address_of: Callable[[Spec], str] = lambda spec: f"127.0.0.1:{spec.port}",
    ) -> None:
        self.clock = clock
        self.address_of = address_of
        self.containers: dict[str, FakeContainer] = {}
        self.images: dict[str, ImageInfo] = {}
        self.volumes: set[str] = set()
        self.networks: set[str] = set()
        self.programs: dict[tuple[str, ...], Program] = {}
        self.any_image = True
        self.slow_for = timedelta(seconds=30)
        self.dies_with = 1
        self.changed = threading.Condition(threading.RLock())
        self.happened: list[tuple[str, str]] = []
        self._planned: list[_Planned] = []

    def inject(self, fault: Fault, verb: str = "ensure", name: str | None = None, times: int = 1) -> None:
        """The next `times` calls of `verb` (for that container, or any) meet the fault, oldest first."""
        with self.changed:
            self._planned.append(_Planned(fault, verb, name, times))

    def meet(self, verb: str, name: str | None = None) -> Fault | None:
        """The fault for this call, used up once."""
        for planned in self._planned:
            if planned.times > 0 and planned.verb == verb and planned.name in (None, name):
                planned.times -= 1
                return planned.fault
        return None

    def clear_faults(self) -> None:
        with self.changed:
            self._planned.clear()

    def end(self, name: str, exit_code: int, *, out_of_memory: bool = False) -> None:
        """The container ends by itself, as seen by the engine now."""
        with self.changed:
            container = self.containers[name]
            container.finished_at, container.exit_code = self.clock(), exit_code
            container.out_of_memory = out_of_memory
            self.tell(name, container)

    def vanish(self, name: str) -> None:
        """Somebody removed the container behind our back."""
        with self.changed:
            self.tell(name, self.containers.pop(name))

    def restart(self) -> None:
        """The engine restarts: everything that runs ends with 137."""
        with self.changed:
            for name in [one for one, container in self.containers.items() if self.runs(container)]:
                self.end(name, 137)

    def write(self, name: str, output: bytes, stream: str = "stdout") -> None:
        """The container prints this, now."""
        with self.changed:
            splitter = LineSplitter()
            pieces = splitter.feed(output) + splitter.end()
            self.containers[name].lines += [LogLine(self.clock(), stream, *piece) for piece in pieces]
            self.changed.notify_all()

    def runs(self, container: FakeContainer) -> bool:
        begun = container.runs_from is not None and container.runs_from <= self.clock()
        return begun and container.finished_at is None

    def tell(self, name: str, container: FakeContainer) -> None:
        """Something happened to it: whoever reads events is woken."""
        self.happened.append((container.labels.get("berth.instance", ""), name))
        self.changed.notify_all()

    def observe(self, name: str) -> Observation:
        container = self.containers.get(name)
        if container is None:
            return Observation(name, ContainerState.ABSENT)
        running, ended = self.runs(container), container.finished_at is not None
        state = ContainerState.EXITED if ended else ContainerState.RUNNING if running else ContainerState.CREATED
        return Observation(
            name=name,
            state=state,
            labels=container.labels,
            address=self.address_of(container.spec) if running and container.spec.port else None,
            started_at=container.runs_from if running or ended else None,
            finished_at=container.finished_at,
            exit_code=container.exit_code,
            out_of_memory=container.out_of_memory,
            frozen=running and container.frozen,
        )
