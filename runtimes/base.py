"""What every runtime driver promises: the data it takes and returns, its verbs and its errors."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Protocol

FILES = "/run/berth"
"""Where the files of a spec lie; what runs finds the place in the variable BERTH_FILES, also where it is another."""
VARIABLES = f"{FILES}/environment"
"""A file that sets variables, in the shell's language: whoever starts the command reads it first."""
HOST = "berth.internal"
"""What the machine that a container runs on is called in there, where its spec says so."""
YOUNGER = ("folders", "knows_host")
"""Fields that a spec did not have from the beginning."""
SIMULATED = "simulated-"
"""A GPU whose uuid begins so is declared, not there: what runs is told of it, no engine is asked for it."""


class RuntimeFailure(Exception):
    """Something the engine said no to; the message is one sentence a person can read."""


class EngineUnreachable(RuntimeFailure):
    """No answer in time. Says nothing about the container: callers must treat its state as unknown."""


class ImageMissing(RuntimeFailure):
    """The image is not on the engine; fetching it again may help."""


class SpecConflict(RuntimeFailure):
    """A container of that name exists, made from another spec; it was left alone."""


class EngineRefused(RuntimeFailure):
    """The engine answered and said no: bad spec, no space, name taken by a foreign container."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A named volume at an absolute path inside; `labels` are put on the volume when it is first made."""

    volume: str
    target: str
    read_only: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Spec:
    """All that a driver may know of a container. Nothing outside this list reaches an engine.

    cpu in cores, memory, tmp and shm in bytes. `image` is a digest or image id, never a tag.
    `command` empty means the image's own; otherwise it is given to the image's entry point, if it has one.
    `folders` lie in a mount that can be written to, and are made for the user before the start. The command then
    begins in the first of them, by itself: an image that knows nothing of Berth need not even have a shell.
    `network` names a network private to one user; mounts lie under /home or /data.
    `labels` must hold `berth.instance`, `berth.allocation`, `berth.owner`, `berth.generation`.
    With a port, `{port}` in the command and in values of the environment stands for the port to listen on
    (containers: `port` itself; processes: a free one), in every driver.
    With `knows_host`, the name HOST leads to the machine it runs on; what answers there is up to the driver.
    `files` are placed under FILES before the start, for the user's eyes only. They are no part of what the engine
    keeps of a container, nor of `digest` and `repr`: they may hold secrets.
    """

    name: str
    image: str
    labels: Mapping[str, str]
    network: str
    cpu: float
    memory: int
    port: int | None = None
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    gpus: tuple[str, ...] = ()
    pids: int = 4096
    tmp: int = 2 * 1024**3
    shm: int = 256 * 1024**2
    folders: tuple[str, ...] = ()
    knows_host: bool = False
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def digest(self) -> str:
        """SHA-256 of the spec, written as label `berth.spec`: equal digests are the same container."""
        plain = asdict(replace(self, files={})) | {"cpu": float(self.cpu)}
        del plain["files"]
        for name in YOUNGER:
            if not plain[name]:
                del plain[name]  # as of containers that were made before there was any
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()

    def listening_on(self, port: int | None) -> "Spec":
        """The spec with `{port}` filled in; unchanged when it serves nothing."""
        if port is None:
            return self
        return replace(
            self,
            command=tuple(part.replace("{port}", str(port)) for part in self.command),
            environment={name: value.replace("{port}", str(port)) for name, value in self.environment.items()},
        )


class ContainerState(StrEnum):
    ABSENT = "absent"
    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"


@dataclass(frozen=True, slots=True)
class Observation:
    """What the engine says of one container now. Times are the engine's own, aware and in UTC."""

    name: str
    state: ContainerState
    labels: Mapping[str, str] = field(default_factory=dict)
    address: str | None = None
    """`ip:port` that the gateway and probes can reach while running, if the spec names a port."""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    """Never before `started_at`."""
    exit_code: int | None = None
    out_of_memory: bool = False
    error: str = ""
    """The engine's own words when it could not start the container."""
    frozen: bool = False
    """It runs, and nothing in it moves; see Runtime.freeze."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line without its line end; `at` is when the engine received it; stream is stdout or stderr.

    `returned`: a bare `\\r` ended it, as in a progress bar: the stream's next line is written over it.
    """

    at: datetime
    stream: str
    text: str
    returned: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU as total seconds used since the start (a counter), memory in bytes without page cache."""

    at: datetime
    cpu_seconds: float
    memory: int


@dataclass(frozen=True, slots=True)
class Process:
    """One process inside: the name of its program, and whether it belongs to a terminal."""

    command: str
    terminal: bool


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU of a machine: `uuid` is what a spec names, `product` the maker's name, memory in bytes.

    `utilisation` is the share of the last moments in which it worked, from 0 to 1; None where nobody can say.
    """

    uuid: str
    product: str
    number: int
    memory: int
    utilisation: float | None = None

    @property
    def simulated(self) -> bool:
        return self.uuid.startswith(SIMULATED)


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """Capacity of the machine behind the driver: cores, bytes; `version` is the engine's own word."""

    name: str
    version: str
    cpu: float
    memory: int


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """An image on the engine: `id` can be run as `Spec.image`; size in bytes."""

    id: str
    size: int
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a pull or build is: fraction 0..1 or None when unknown, and one line for people."""

    fraction: float | None
    message: str


@dataclass(frozen=True, slots=True)
class Command:
    """Another program to run inside: its arguments, extra variables, and columns and rows if it gets a terminal."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    terminal: tuple[int, int] | None = None


class Execution(Protocol):
    """A program that runs beside what the container was started for. One thread may read while another writes."""

    def read(self) -> tuple[str, bytes] | None:
        """The next output as (stdout or stderr, bytes), waiting for it; None at the end. A terminal has stdout only."""

    def write(self, data: bytes) -> None:
        """Give it input, waiting until it is taken. Nothing happens when the program has ended."""

    def end_input(self) -> None:
        """Its input ends here."""

    def resize(self, columns: int, rows: int) -> None:
        """The terminal has another size now; nothing happens without one."""

    def exit_code(self) -> int:
        """After the end of the output: how it ended."""

    def close(self) -> None:
        """Nobody listens any more. A program on a terminal is told to hang up."""


OnProgress = Callable[[Progress], None]
"""May raise to cancel; the exception passes through the driver untouched."""


class Runtime(Protocol):
    """Verbs of a driver. All are synchronous, safe to call from several threads, and bounded in time
    (30 s unless said otherwise); all raise EngineUnreachable when the engine does not answer in time.
    """

    kind: str
    isolated: bool
    """False when what runs can reach the host's files and processes (the pages say so)."""
    freezes: bool
    """False when `freeze` always raises EngineRefused."""

    def check(self) -> EngineInfo:
        """The engine answers and this is its capacity."""

    def gpus(self) -> tuple[Gpu, ...]:
        """The devices of its machine that answer now, where they can be seen from here; may take seconds."""

    def ensure(self, spec: Spec) -> Observation:
        """Create or adopt, and start once.

        After it, exactly one container of `spec.name` exists, made from this spec (label `berth.spec`
        equals `spec.digest`), and it has been started at least once; one that has already exited stays
        exited, so that its exit code can be read. Volumes and the network it names exist, and the files of this
        spec were there before it started, also when the container was made by an earlier call.
        Raises ImageMissing, SpecConflict (another spec under that name: nothing changed), EngineRefused.
        """

    def inspect(self, name: str) -> Observation:
        """What is there now; state ABSENT when nothing is."""

    def list(self, instance: str) -> list[Observation]:
        """Every container labelled with this instance, exited ones too; never another instance's.

        One that the engine lists but will not describe now has `error` set and no times, exit code or
        address: ask `inspect` before acting on it.
        """

    def stop(self, name: str, *, force: bool = False) -> None:
        """Ask it to end (SIGTERM), or end it at once (SIGKILL); returns without waiting.

        After it, the signal was delivered or the container was not running. Absent is success.
        A frozen one is thawed, so that the signal reaches it.
        """

    def freeze(self, name: str) -> None:
        """After it, nothing in the container moves: it keeps its memory, its address and its connections, and uses
        no CPU. One that is frozen stays so; one that does not run, or is absent, is left as it is.
        """

    def thaw(self, name: str) -> None:
        """After it, everything in the container goes on where it was. Not frozen, ended and absent are success."""

    def remove(self, name: str) -> None:
        """After it, no container of that name exists; a running or frozen one is killed first. Absent is success."""

    def logs(self, name: str, since: datetime | None, *, follow: bool) -> Iterator[LogLine]:
        """Lines at or after `since` in order; with `follow` until the container ends (not bounded in time).

        Ends quietly when the container is absent. `\\r` and `\\n` both end a line, and NUL is left out; a line
        that `\\r` ended says so, once it is known that no `\\n` follows.
        A line is cut at 8 KiB: what follows up to its end is dropped, and the cut line ends with a mark.
        """

    def execute(self, name: str, command: Command) -> Execution:
        """Run another program in a running container, as its user and in its home.

        Raises EngineRefused when the container does not run, is frozen or is not ours.
        """

    def stats(self, name: str) -> Usage | None:
        """Counters of a running container; None when it does not run."""

    def processes(self, name: str) -> tuple[Process, ...] | None:
        """What runs inside now; None when it does not run. EngineRefused where the engine cannot say."""

    def events(self) -> Iterator[str]:
        """Names of our containers as something happens to them, until the connection breaks. Hints only."""

    def make_volume(self, name: str, image: str | None) -> bool:
        """After it, the volume exists and, where it answers True, belongs to who runs in containers.

        Some engines need a container of `image`, which is never started, to give it away.
        """

    def remove_volume(self, name: str) -> None:
        """After it, the volume and what was in it are gone. Absent is success; EngineRefused while in use."""

    def remove_network(self, name: str) -> None:
        """After it, the network is gone. Absent is success; EngineRefused while in use."""

    def guard(self, image: str | None) -> tuple[str, ...]:
        """Keep what runs away from the host and from private networks, and prove it with a container of
        `image` (which needs bash) where one is given. Sentences on what is not kept; none when all is.
        """

    def find_image(self, reference: str) -> ImageInfo | None:
        """The image under that id, digest or tag, or None."""

    def resolve_image(self, tag: str) -> str:
        """`repository@sha256:…`: what the registry has under this tag now. EngineRefused with its reason."""

    def pull_image(self, reference: str, on_progress: OnProgress) -> ImageInfo:
        """Bring `reference` here; may take an hour. Raises EngineRefused with the registry's reason.

        Ends soon after `on_progress` has raised, and so does a build; it is called each second at least.
        """

    def build_image(self, tag: str, context: Path, on_progress: OnProgress) -> ImageInfo:
        """Build the Dockerfile in `context`; may take an hour. Raises EngineRefused with the last lines.

        The context always holds a file `company-ca.crt`: extra certificates to trust, or empty.
        """

    def import_image(self, tag: str, tar: BinaryIO) -> ImageInfo:
        """Make an image of one layer from a tar stream of a root file system."""

    def remove_image(self, reference: str) -> None:
        """After it, nothing here has that name. Absent is success.

        EngineRefused while a container uses it, or where another instance built it: nothing changed.
        """
