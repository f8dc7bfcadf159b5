"""Identifiers: ULIDs, which sort by the time they were made and are safe in a host name."""

import re
from datetime import datetime

from ulid import ULID

LENGTH = 26
PATTERN = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")


def new_id() -> str:
    return str(ULID())


def id_at(at: datetime) -> str:
    """Of something that came at that time: it stands in order with those that are."""
    return str(ULID.from_datetime(at))
