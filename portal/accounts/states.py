"""Scopes a token can carry."""

RESOURCES = ("workspaces", "jobs", "usage", "quota", "admin")
SCOPES = tuple(f"{resource}:{right}" for resource in RESOURCES for right in ("read", "write"))
TOKEN_PREFIX = "berth_"
MAX_TOKEN_DAYS = 365


def allows(scopes: list[str], resource: str, write: bool) -> bool:
    """Writing includes reading."""
    return f"{resource}:write" in scopes or (not write and f"{resource}:read" in scopes)
