"""Refuses to start where stored secrets were sealed with a key that is not configured."""

from typing import Any

from django.core.checks import Error, register
from django.db import OperationalError, ProgrammingError

from portal.accounts import vault


@register
def every_secret_has_its_key(**_: Any) -> list[Error]:
    try:
        missing = vault.missing_keys()
    except (OperationalError, ProgrammingError):  # no database yet, or no table: then no secret either
        return []
    return [
        Error(
            f"Stored secrets were sealed with the key {key_id}, which is not configured.",
            hint="Put it back into BERTH_SECRETS_KEYS (or BERTH_SECRET_KEY, for a derived one), and run "
            "`manage.py rotate_secrets` before taking it out. If it is lost for good, "
            "`manage.py rotate_secrets --delete-unreadable` deletes those secrets.",
            id="accounts.E001",
        )
        for key_id in missing
    ]
