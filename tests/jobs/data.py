"""Datasets for tests, whose files change at once."""

from datetime import timedelta

from environments import dataset_versions
from environments.dataset_models import DatasetVersion
from environments.models import Dataset
from portal.lib import clock
from portal.lib.beneath import Extent


def iris(teams: str = "*") -> Dataset:
    """Without files yet."""
    return Dataset.objects.create(name="iris", summary="Flowers", teams=[teams])


def looked(fingerprint: str, *, minutes: int = 0, name: str = "iris") -> DatasetVersion:
    """So much later, a look at its files finds this."""
    with clock.shifted(timedelta(minutes=minutes)):
        dataset_versions.saw(name, Extent(4096, 1, 0, True, fingerprint))
    return dataset_versions.newest([name])[name]


def changed(fingerprint: str, *, minutes: int = 0) -> DatasetVersion:
    """It changes then, and stays so for ten minutes."""
    looked(fingerprint, minutes=minutes)
    return looked(fingerprint, minutes=minutes + 10)
