"""What volumes of jobs and models take is metered, charged to their team and project, and nothing is counted twice."""

from typing import Any

import pytest

from environments.models import Volume
from jobs import model_files, registry, snapshots
from jobs.registry import Keeping
from portal.compute import owners
from portal.usage.models import UsageInterval
from tests.conftest import People
from tests.files.looking import BLOCK, blocks_count_as_gib, look  # noqa: F401  # a fixture
from tests.jobs.leaving import Leaving, folder_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("blocks_count_as_gib")]


def told() -> dict[str, Any]:
    """Of what is open, by what people call it: whom it is charged to, and how much it is."""
    rows = list(UsageInterval.objects.filter(ended_at=None))
    names = owners.subjects(rows)
    return {names[row.owner_id].name: (row.team, row.user, row.project, row.quantity) for row in rows}


def test_a_job_is_measured_when_it_has_ended_and_shares_with_the_model_what_both_hold(leaving: Leaving) -> None:
    job = leaving({"outputs/model.pkl": "x" * 4 * BLOCK, "outputs/log": "x" * BLOCK}, name="churn", project="p")
    look()
    assert told() == {"Files of churn": ("vision", "vera", "p", 5)}
    version = registry.keep(job.owner, job, Keeping("best", "outputs/model.pkl"), actor="vera")
    folder_of(version.volume, leaving.volumes)
    while model_files.fill_one():
        pass
    look(hours=0.01)
    assert told() == {"Files of churn": ("vision", "vera", "p", 3), "Model best:1": ("vision", "vera", "p", 2)}


def test_code_that_jobs_share_is_charged_to_the_first_of_them(
    people: People, submit: Any, make_workspace: Any, volumes: Any
) -> None:
    make_workspace()
    job = submit(name="first", folder="src")
    assert job.snapshot is not None
    (folder_of(job.snapshot.volume, volumes) / "train.py").write_text("x" * 2 * BLOCK)
    snapshots.arrived(job.snapshot, "0" * 64)
    look()
    assert told() == {"Code of first": ("vision", "vera", "", 2)}


def test_volumes_of_jobs_are_measured_again_once_a_day(leaving: Leaving) -> None:
    job = leaving({"outputs/a": "x" * BLOCK})
    look()
    (leaving.volumes / job.volume.engine_name / "outputs/b").write_text("x" * BLOCK)
    look(hours=23)
    assert Volume.objects.get(pk=job.volume_id).used == BLOCK
    look(hours=25)
    assert Volume.objects.get(pk=job.volume_id).used == 2 * BLOCK
