"""Where the unix sockets lie: beside the data, or under /tmp where that path is too long for the kernel."""

import hashlib
import os
import stat
from pathlib import Path

from deploy.screen import Stopped

LONGEST = 107 - len("/sockets/.s.PGSQL.5432.lock")


def run_directory(data: Path) -> Path:
    """A folder of ours alone for this data folder: sockets, pid files and generated configuration. Made if needed."""
    directory = data / "run"
    if len(os.fsencode(directory)) > LONGEST:
        name = hashlib.sha256(os.fsencode(data)).hexdigest()[:12]
        directory = Path(f"/tmp/berth-{os.getuid()}-{name}")
    directory.mkdir(parents=True, exist_ok=True, mode=0o711)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise Stopped(
            f"{directory} is not a folder that only this account can write to: remove it, then run this again."
        )
    return directory


def socket_directory(data: Path) -> Path:
    """Belongs to whom the databases run as; nobody else may look inside."""
    return run_directory(data) / "sockets"
