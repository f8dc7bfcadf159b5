"""Datasets as inputs of a job: which versions it found, and what has changed since."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from environments import dataset_versions
from environments.dataset_models import DatasetVersion
from environments.models import Dataset
from jobs.models import Job
from portal.compute.models import Allocation


def note(allocation: Allocation) -> None:
    """An attempt begins: what it has mounted is as Berth saw it last."""
    mounted = [mount["volume"] for mount in allocation.spec["mounts"]]
    names = Dataset.objects.filter(volumes__engine_name__in=mounted).values_list("pk", flat=True)
    found = dataset_versions.newest(names).values()
    link = Job.dataset_versions.through
    rows = [link(job_id=allocation.owner_id, datasetversion_id=version.pk) for version in found]
    link.objects.bulk_create(rows, ignore_conflicts=True)


def found_by(job: Job) -> list[DatasetVersion]:
    """By name and number: more than one of a dataset that changed between attempts."""
    return sorted(job.dataset_versions.all(), key=lambda version: (version.dataset_id, version.number))


def text(job: Job) -> str:
    """/data/iris (iris:7), /data/rides"""
    names = list(job.datasets.values_list("name", flat=True))
    numbers: dict[str, list[str]] = defaultdict(list)
    for version in found_by(job) if names else []:
        numbers[version.dataset_id].append(str(version))
    return ", ".join(f"/data/{name}" + (f" ({', '.join(numbers[name])})" if numbers[name] else "") for name in names)


def newer(found: Iterable[DatasetVersion], newest: Mapping[str, DatasetVersion]) -> list[DatasetVersion]:
    """The newest of each dataset that has changed since the last of those `found`, in their order."""
    last = {version.dataset_id: version for version in found}
    return [newest[name] for name, version in last.items() if newest[name].number > version.number]


def changed(job: Job) -> str:
    """What running it again would find otherwise, as a sentence; empty where that is nothing."""
    found = found_by(job)
    now = newer(found, dataset_versions.newest(version.dataset_id for version in found))
    if not now:
        return ""
    names = {version.dataset_id for version in now}
    before = ", ".join(str(version) for version in found if version.dataset_id in names)
    return f"Its data has changed since: it read {before}, and now there is {', '.join(map(str, now))}."
