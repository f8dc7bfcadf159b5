"""Names that environment variables may have, and secrets, which can be delivered as such."""

import re

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
RESERVED = ("JUPYTER", "BERTH", "LD_", "PATH", "HOME")
OF_THE_SHELL = frozenset(
    {"_", "BASHOPTS", "BASH_VERSINFO", "EUID", "GROUPS", "IFS", "LINENO", "OPTIND", "PPID", "SHELLOPTS", "UID"}
)
"""What a shell keeps for itself: setting it is an error, or breaks the script that sets it."""


def allowed(name: str) -> bool:
    known = NAME.fullmatch(name) is not None
    return known and name not in OF_THE_SHELL and not name.upper().startswith(RESERVED)
