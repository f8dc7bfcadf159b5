"""Refuses to start what the system checks object to: manage.py does so by itself, servers and workers do not."""

from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured


def refuse_if_misconfigured() -> None:
    """Raises ImproperlyConfigured with every serious finding and its hint."""
    serious = [found for found in run_checks() if found.is_serious() and not found.is_silenced()]
    if serious:
        raise ImproperlyConfigured("\n".join(str(found) for found in serious))
