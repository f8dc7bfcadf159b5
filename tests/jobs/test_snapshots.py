"""Snapshots of code: what a rerun and all points of a sweep begin with, whatever has become of the folder."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from environments.volumes import home_of
from jobs import actions, collecting
from jobs.models import Attempt, Job, Snapshot
from jobs.spec import SNAPSHOT
from jobs.states import CodeState, J
from portal.lib import clock
from portal.lib.errors import Invalid
from tests.conftest import People
from tests.jobs.leaving import folder_of
from tests.jobs.plans import make_sweep
from tests.jobs.test_life import ends

pytestmark = pytest.mark.django_db
Submit = Callable[..., Job]
Tick = Callable[..., None]


@pytest.fixture
def home(people: People, volumes: Path) -> Path:
    """Vera's, with a program in `churn`."""
    found = folder_of(home_of(people.vera), volumes)
    (found / "churn").mkdir()
    (found / "churn/train.py").write_text("print(1)")
    return found


@pytest.fixture
def ran(submit: Submit, home: Path, tick: Tick, fake_engine: Any, volumes: Path) -> Job:
    """A job of that folder, which has ended."""
    ends(fake_engine, "true", exit_code=0)
    job = submit(command=["true"], folder="churn")
    assert job.snapshot is not None
    folder_of(job.snapshot.volume, volumes)
    assert collecting.copy_one()
    tick()
    job.refresh_from_db()
    assert job.state == J.SUCCEEDED
    return job


def mounted(job: Job) -> dict[str, tuple[str, bool]]:
    mounts = Attempt.objects.get(job=job).allocation.spec["mounts"]
    return {mount["target"]: (mount["volume"], mount["read_only"]) for mount in mounts}


def test_a_rerun_begins_with_the_same_files_whatever_has_become_of_the_folder(
    ran: Job, home: Path, tick: Tick, people: People
) -> None:
    (home / "churn/train.py").write_text("print(2)")
    again = actions.rerun(ran, people.vera, actor="vera")
    tick()
    again.refresh_from_db()
    assert ran.snapshot is not None
    assert not collecting.copy_one()
    assert (again.code_hash, again.folder, again.state) == (ran.code_hash, "churn", J.SUCCEEDED)
    assert mounted(again)[SNAPSHOT] == mounted(ran)[SNAPSHOT] == (ran.snapshot.volume.engine_name, True)
    assert again.volume != ran.volume


def test_a_lead_runs_again_what_the_member_ran(ran: Job, people: People, volumes: Path) -> None:
    own = folder_of(home_of(people.luis), volumes)
    (own / "churn").mkdir()
    again = actions.rerun(ran, people.luis, actor="luis")
    assert (again.owner, again.snapshot) == (people.luis, ran.snapshot)


def test_a_lead_runs_again_what_came_from_a_workspace_of_a_member(
    make_workspace: Callable[..., Any], submit: Submit, people: People
) -> None:
    workspace = make_workspace()
    job = submit(template=None, workspace=workspace.pk)
    again = actions.rerun(job, people.luis, actor="luis")
    assert (again.snapshot, again.version, again.workspace) == (job.snapshot, job.version, None)


def test_a_rerun_outlives_the_workspace(make_workspace: Callable[..., Any], submit: Submit, people: People) -> None:
    from environments.models import Workspace

    workspace = make_workspace()
    job = submit(template=None, workspace=workspace.pk)
    Workspace.objects.update(deleted_at=clock.now())
    job.refresh_from_db()
    assert actions.rerun(job, people.vera, actor="vera").version == job.version


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"code_of": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}, "There is no such job, or it is not yours."),
        ({"code_of": "x"}, "There is no such job, or it is not yours."),
        ({"folder": "churn"}, "The code is that of another job, or it is named here, not both."),
        (
            {"git_url": "https://git.example.org/x.git"},
            "The code is that of another job, or it is named here, not both.",
        ),
    ],
)
def test_whose_code_it_can_have(ran: Job, submit: Submit, values: dict[str, str], sentence: str) -> None:
    with pytest.raises(Invalid) as problem:
        submit(**({"code_of": ran.pk} | values))
    assert problem.value.fields == {"code_of": [sentence]}


def test_who_may_not_run_it_again_does_not_get_its_code(ran: Job, submit: Submit, people: People, bo: Any) -> None:
    for owner, sentence in ((people.oda, "There is no such job"), (bo, "belongs to Vera Rosén")):
        with pytest.raises(Invalid) as problem:
            submit(owner=owner, code_of=ran.pk)
        assert sentence in problem.value.fields["code_of"][0]


def test_a_job_without_copied_code_has_none_to_give(submit: Submit) -> None:
    with pytest.raises(Invalid) as problem:
        submit(code_of=submit().pk)
    assert problem.value.fields == {"code_of": ["train.py did not run a copy of a folder."]}


def test_what_was_never_copied_is_copied_for_its_owner_and_for_nobody_else(
    submit: Submit, home: Path, volumes: Path, people: People
) -> None:
    job = submit(folder="nope")
    folder_of(job.snapshot.volume, volumes)  # type: ignore[union-attr]
    collecting.copy_one()
    job.refresh_from_db()
    assert job.state == J.FAILED
    again = actions.rerun(job, people.vera, actor="vera")
    assert (again.folder, again.snapshot == job.snapshot) == ("nope", False)
    with pytest.raises(Invalid) as problem:
        actions.rerun(job, people.luis, actor="luis")
    assert "was never copied" in problem.value.fields["code_of"][0]


def test_a_folder_is_copied_once_for_all_points_of_a_sweep(
    people: People, catalog: None, home: Path, tick: Tick, fake_engine: Any, volumes: Path
) -> None:
    sweep = make_sweep(people.vera, job={"folder": "churn"})
    tick()
    assert sweep.jobs.get(point=1).message == "Copying its code"
    assert not Attempt.objects.exists()
    snapshot = Snapshot.objects.get()
    folder_of(snapshot.volume, volumes)
    assert collecting.copy_one()
    (home / "churn/train.py").write_text("print(2)")
    assert not collecting.copy_one()
    tick()
    assert Attempt.objects.count() == 2
    assert sweep.jobs.get(point=1).message == ""
    assert set(sweep.jobs.values_list("snapshot", flat=True)) == {snapshot.pk}
    assert actions.rerun(sweep.jobs.get(point=7), people.vera, actor="vera").snapshot == snapshot


def test_a_folder_that_is_not_there_ends_all_points(
    people: People, catalog: None, home: Path, volumes: Path, django_assert_max_num_queries: Any
) -> None:
    sweep = make_sweep(people.vera, job={"folder": "nope"})
    folder_of(Snapshot.objects.get().volume, volumes)
    with django_assert_max_num_queries(12):
        collecting.copy_one()
    said = set(sweep.jobs.values_list("state", "message", "hold"))
    assert said == {("failed", "There is no folder or archive ~/nope in the home of Vera Rosén.", "")}


def test_a_snapshot_goes_with_the_last_job_that_has_it(ran: Job, tick: Tick, people: People) -> None:
    assert ran.snapshot is not None
    with clock.shifted(timedelta(days=60)):
        again = actions.rerun(ran, people.vera, actor="vera")
        tick()
    with clock.shifted(timedelta(days=91)):
        actions.forget_files()
        assert actions.rerun(ran, people.vera, actor="vera").snapshot == ran.snapshot
        Job.objects.filter(rerun_of=ran).exclude(pk=again.pk).delete()
    with clock.shifted(timedelta(days=151)):
        actions.forget_files()
    ran.snapshot.refresh_from_db()
    assert ran.snapshot.state == CodeState.REMOVED
    assert ran.snapshot.volume.delete_requested_at is not None
    with pytest.raises(Invalid) as problem:
        actions.rerun(ran, people.vera, actor="vera")
    assert problem.value.fields["code_of"][0].startswith("The code of python was deleted with its files.")
