"""Gathers what the pages of models show, each with a fixed number of queries."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from django.urls import reverse

from environments.cards import Row
from jobs import access, model_access, pages
from jobs.model_models import Model, ModelVersion
from jobs.model_states import VersionState
from jobs.model_use import inside
from jobs.models import Artifact, Job
from jobs.spec import CODE
from portal.accounts.models import User
from portal.lib import clock, plots, words

MOST_METRICS = 4
MOST_FILES = 100
MOST_USERS = 50
MOST_PATHS = 500
LINEAGE = ("Environment", "Image", "Code", "Parameters", "Data", "Models")
"""Of the record of its job, what a team may see of it."""
DOTS = {VersionState.WAITING: "building", VersionState.READY: "ready", VersionState.FAILED: "failed"}


def shown(user: User, model: Model, versions: Sequence[ModelVersion]) -> list[dict[str, Any]]:
    """Rows of a model's page."""
    may_read = model_access.may_read(user, model)
    return [
        {
            "version": version,
            "dot": DOTS.get(VersionState(version.state), "deleted"),
            "metrics": _metrics(version)[:MOST_METRICS],
            "download": download_of(version) if may_read and version.usable else "",
        }
        for version in versions
    ]


def download_of(version: ModelVersion) -> str:
    return reverse("model-download", args=[version.model.team.slug, version.model.name, version.number])


def _metrics(version: ModelVersion) -> list[tuple[str, str]]:
    return [(name, plots.number(value)) for name, value in sorted(version.metrics.items())]


def version_page(user: User, version: ModelVersion) -> dict[str, Any]:
    users = list(version.users.select_related("owner").order_by("-pk")[:MOST_USERS])
    jobs = [version.job_id, *(job.pk for job in users)]
    visible = set(access.visible_to(user).filter(pk__in=jobs).values_list("pk", flat=True))
    (row,) = shown(user, version.model, [version])
    return row | {
        "facts": _facts(version),
        "metrics": _metrics(version),
        "job": version.job,
        "job_visible": version.job_id in visible,
        "lineage": [line for line in pages.record(version.job) if line.label in LINEAGE],
        "users": [(job, job.pk in visible) for job in users],
        "more": max(version.users.count() - len(users), 0) if len(users) == MOST_USERS else 0,
        "may_delete": version.deleted_at is None and model_access.may_delete(user, version),
        "where": inside(version),
        "live_topics": [version.topic],
    }


def _facts(version: ModelVersion) -> list[Row]:
    count = "1 file" if version.files == 1 else f"{version.files:,} files"
    return [
        Row("Kept", f"{words.moment(version.created_at, clock.now())} by {version.created_by.get_full_name()}"),
        Row("Size", f"{words.size(version.size)}, {count}"),
        Row("From", version.path),
        Row("sha256", version.sha256),
    ]


def paths_of(job: Job) -> list[str]:
    """What can be kept of it: folders first, then files; the first MOST_PATHS of each."""
    files = list(Artifact.objects.filter(job=job).values_list("path", flat=True)[:MOST_PATHS])
    folders = {str(folder) for path in files for folder in PurePosixPath(path).parents}
    return sorted(folders - {".", CODE})[:MOST_PATHS] + files
