"""A folder of volumes as the engine keeps them, and people who look at theirs."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from environments.files import access, actions
from environments.models import Dataset, Volume

Sign = Callable[[Any], Client]


@pytest.fixture
def volumes(tmp_path: Path, settings: Any) -> Path:
    folder = tmp_path / "volumes"
    folder.mkdir()
    settings.VOLUMES = str(folder)
    return folder


@pytest.fixture
def at(people: Any, volumes: Path) -> Callable[..., Path]:
    """The folder of a place of somebody's on this machine, made as the engine would have made it."""

    def make(user: Any, key: str = "home") -> Path:
        volume = actions.prepare(access.place_for(user, key), actor="test")
        Volume.objects.filter(pk=volume.pk).update(made_at=volume.created_at)
        folder = volumes / volume.engine_name / "_data"
        folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            os.chown(folder, 1000, 1000)
        return folder

    return make


@pytest.fixture
def numbers(people: Any) -> Dataset:
    """Read by vision, kept by risk, which has a lead: the admin's word counts everywhere."""
    return Dataset.objects.create(name="numbers", summary="Many numbers", teams=["vision"], kept_by="risk")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
