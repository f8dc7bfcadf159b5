"""How models are named, and what `churn-model:7` and `churn-model:latest` refer to."""

import re

from portal.lib.errors import Invalid

LENGTH = 60
REFERENCE_LENGTH = LENGTH + 20
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")
_REFERENCE = re.compile(rf"({_NAME.pattern})(?::([1-9][0-9]{{0,8}}|latest))?")


def checked(field: str, name: str) -> str:
    if not _NAME.fullmatch(name.strip()):
        raise Invalid.field(field, "Use 1 to 60 small letters, digits and hyphens, such as “churn-model”.")
    return name.strip()


def read(reference: str) -> tuple[str, int | None]:
    """Name and number; None for the newest version. Raises Invalid."""
    found = _REFERENCE.fullmatch(reference.strip())
    if found is None:
        raise Invalid.field("models", f"“{reference[:80]}” names no model: write churn-model:7, or churn-model:latest.")
    return found[1], int(found[2]) if (found[2] or "latest") != "latest" else None
