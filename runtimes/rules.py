"""What a spec must satisfy before any driver acts on it: the last check in front of an engine."""

import math
import re
from posixpath import normpath

from runtimes import files
from runtimes.base import FILES, EngineRefused, Mount, Spec

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"([a-z0-9][a-z0-9._/:-]*@)?sha256:[0-9a-f]{64}")
_GPU = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}")
_LABELS = ("berth.instance", "berth.allocation", "berth.owner", "berth.generation")
_LARGEST = 2**53
_SMALLEST_MEMORY = 6 * 1024**2


def check_spec(spec: Spec, instance: str) -> None:
    """Raises EngineRefused with the first rule that the spec breaks."""
    for broken in _broken(spec, instance):
        raise EngineRefused(broken)


def check_name(name: str) -> str:
    """The name again, when it can be no path, option or wildcard; raises EngineRefused."""
    if not NAME.fullmatch(name):
        raise EngineRefused(f"{name[:80]!r} is not a name: letters, digits, '_', '.' and '-' only.")
    return name


def _broken(spec: Spec, instance: str) -> list[str]:
    check_name(spec.name)
    check_name(spec.network)
    for mount in spec.mounts:
        check_name(mount.volume)
    rules = {
        "An image runs by its digest or id, never by a tag.": _DIGEST.fullmatch(spec.image),
        f"The labels must hold {', '.join(_LABELS)}.": all(name in spec.labels for name in _LABELS),
        "The spec belongs to another instance.": spec.labels.get("berth.instance") == instance,
        "The port must lie between 1 and 65535.": spec.port is None or 1 <= spec.port <= 65535,
        "CPU must be a positive number of cores.": math.isfinite(spec.cpu) and 0 < spec.cpu <= 4096,
        "Memory must be at least 6 MiB.": _SMALLEST_MEMORY <= spec.memory <= _LARGEST,
        "The process limit must be positive.": 0 < spec.pids <= 2**22,
        "Sizes of /tmp and /dev/shm must be positive.": 0 < spec.tmp <= _LARGEST and 0 < spec.shm <= _LARGEST,
        "A mount must lie under /home or /data.": all(map(_mounts_well, spec.mounts)),
        "Two mounts have the same target.": len({m.target for m in spec.mounts}) == len(spec.mounts),
        "A folder must lie in a mount that can be written to, and a command begin there.": _placed_well(spec),
        f"Files must be few and lie under {FILES}.": files.lie_well(spec.files),
        "A GPU is named by its UUID.": all(map(_GPU.fullmatch, spec.gpus)),
    }
    return [sentence for sentence, holds in rules.items() if not holds]


def _mounts_well(mount: Mount) -> bool:
    target = mount.target
    return normpath(target) == target and target.startswith(("/home/", "/data/")) and "\0" not in target


def _placed_well(spec: Spec) -> bool:
    places = [mount.target for mount in spec.mounts if not mount.read_only]
    plain = all(normpath(folder) == folder and "\0" not in folder for folder in spec.folders)
    inside = all(any(f"{folder}/".startswith(f"{place}/") for place in places) for folder in spec.folders)
    return plain and inside and (bool(spec.command) or not spec.folders)
