"""Whoever measures volumes comes by."""

from datetime import timedelta

import pytest

from environments.files import disk, measuring
from portal.lib import clock
from portal.usage import storage

BLOCK = 4096
"""Of the disk."""


def look(*, minutes: float = 0, hours: float = 0) -> None:
    """So much later."""
    with clock.shifted(timedelta(minutes=minutes, hours=hours)):
        while measuring.measure_one():
            disk._leave_groups.cache_clear()


@pytest.fixture
def blocks_count_as_gib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "GIB", BLOCK)
