"""Models: kept from a job's artifacts, numbered, used by jobs, and deleted only when nothing needs them."""

import hashlib
import os
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from environments.models import Volume
from jobs import actions, model_files, registry, scheduling
from jobs.again import submission_of
from jobs.model_models import Model, ModelVersion
from jobs.model_states import VersionState
from jobs.models import Job
from jobs.registry import Keeping
from jobs.states import J
from portal.audit.models import AuditEvent
from portal.lib import clock
from portal.lib.errors import Conflict, Invalid
from runtimes.fake_engine import FakeEngine
from tests.conftest import People
from tests.jobs.leaving import Leaving, folder_of
from tests.jobs.plans import make_schedule, make_sweep, tell
from tests.jobs.test_life import now_running

pytestmark = pytest.mark.django_db
Tick = Callable[..., None]
FOLDER = {"outputs/net/a.bin": "1", "outputs/net/deep/b.bin": "22", "outputs/log.txt": "no model"}


def keep(job: Job, path: str = "outputs/model.pkl", name: str = "churn-model", owner: Any = None) -> ModelVersion:
    owner = owner or job.owner
    return registry.keep(owner, job, Keeping(name, path), actor=owner.username)


def ready(version: ModelVersion, volumes: Path) -> Path:
    """Its folder on this machine, filled as the process `files` does it."""
    folder = folder_of(version.volume, volumes)
    while model_files.fill_one():
        pass
    version.refresh_from_db()
    assert (version.state, version.message) == (VersionState.READY, "")
    return folder


@pytest.fixture
def kept(leaving: Leaving) -> Callable[..., ModelVersion]:
    """A version that is ready."""

    def make(**values: Any) -> ModelVersion:
        version = keep(leaving({"outputs/model.pkl": "weights"}, **values))
        ready(version, leaving.volumes)
        return version

    return make


def test_a_file_becomes_version_1_and_is_there_alone(leaving: Leaving) -> None:
    job = leaving({"outputs/model.pkl": "weights", "code/outputs/secret.txt": "x"})
    version = keep(job)
    assert (str(version), version.is_file, version.size, version.files) == ("churn-model:1", True, 7, 1)
    assert version.sha256 == hashlib.sha256(b"weights").hexdigest()
    folder = ready(version, leaving.volumes)
    assert [one.name for one in folder.iterdir()] == ["model.pkl"]
    assert (folder / "model.pkl").read_text() == "weights"
    original = leaving.volumes / job.volume.engine_name / "outputs/model.pkl"
    assert (folder / "model.pkl").samefile(original), "a model takes no room twice"
    assert AuditEvent.objects.filter(target=version.model.topic, verb="model.keep").count() == 1


def test_a_folder_keeps_its_paths_and_the_same_content_has_the_same_hash(leaving: Leaving) -> None:
    first, second = keep(leaving(FOLDER), "outputs/net"), keep(leaving(FOLDER), "outputs/net/")
    assert (first.is_file, first.files, first.size) == (False, 2, 3)
    folder = ready(first, leaving.volumes)
    assert {str(one.relative_to(folder)) for one in folder.rglob("*.bin")} == {"a.bin", "deep/b.bin"}
    assert first.sha256 == second.sha256 != keep(leaving(FOLDER), "outputs").sha256


def test_where_files_cannot_be_linked_they_are_copied(leaving: Leaving, monkeypatch: pytest.MonkeyPatch) -> None:
    def on_another_disk(*_: Any, **__: Any) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", on_another_disk)
    job = leaving({"outputs/model.pkl": "weights"})
    folder = ready(keep(job), leaving.volumes)
    assert (folder / "model.pkl").read_text() == "weights"
    assert [one.name for one in folder.iterdir()] == ["model.pkl"]


def test_a_path_below_the_code_may_be_written_as_the_page_shows_it(leaving: Leaving) -> None:
    assert keep(leaving({"code/outputs/model.pkl": "1"}), "outputs/model.pkl").path == "code/outputs/model.pkl"


def test_numbers_count_from_1_in_each_model_and_are_never_given_twice(leaving: Leaving) -> None:
    job = leaving({"outputs/model.pkl": "1"})
    assert [keep(job).number for _ in range(3)] == [1, 2, 3]
    registry.delete(ModelVersion.objects.get(number=3), actor="vera")
    assert (keep(job).number, keep(job, name="other").number) == (4, 1)


def test_the_last_values_of_metrics_are_kept(leaving: Leaving) -> None:
    job = leaving({"outputs/model.pkl": "1"})
    tell(job, 0.9, 0.5)
    tell(job, 0.4, 0.25)
    assert keep(job).metrics == {"loss": 0.25}


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (Keeping("Churn Model", "outputs/model.pkl"), "name"),
        (Keeping("x" * 61, "outputs/model.pkl"), "name"),
        (Keeping("churn", ""), "path"),
        (Keeping("churn", "outputs/mod"), "path"),
        (Keeping("churn", "../outputs/model.pkl"), "path"),
        (Keeping("churn", "outputs/model.pkl\0"), "path"),
        (Keeping("churn", "outputs/model.pkl", "x" * 501), "note"),
        (Keeping("churn", "outputs/model.pkl", "a\x00b"), "note"),
    ],
)
def test_what_cannot_be_kept_names_its_field(leaving: Leaving, asked: Keeping, field: str) -> None:
    job = leaving({"outputs/model.pkl": "1"})
    with pytest.raises(Invalid) as problem:
        registry.keep(job.owner, job, asked, actor="vera")
    assert list(problem.value.fields) == [field]
    assert not ModelVersion.objects.exists()
    assert not Job.objects.get(pk=job.pk).pinned


def test_a_job_that_is_not_over_has_nothing_to_keep(submit: Any, tick: Tick, fake_engine: FakeEngine) -> None:
    job = submit()
    tick()
    with pytest.raises(Conflict, match="collected when it is over"):
        keep(job)


def test_its_files_stay_for_as_long_as_a_version_needs_them(leaving: Leaving, settings: Any) -> None:
    job = leaving({"outputs/model.pkl": "1"})
    version = keep(job)
    with pytest.raises(Conflict, match="Its files belong to churn-model:1"):
        actions.pin(job, False, actor="vera")
    with clock.shifted(timedelta(days=settings.JOB_FILES_DAYS + 1)):
        actions.forget_files()
        assert Volume.objects.get(pk=job.volume_id).delete_requested_at is None
        registry.delete(version, actor="vera")
        actions.forget_files()
        assert Volume.objects.get(pk=job.volume_id).delete_requested_at is None, "kept until somebody lets it go"
        actions.pin(job, False, actor="vera")
        actions.forget_files()
    assert Volume.objects.get(pk=job.volume_id).delete_requested_at is not None
    with pytest.raises(Conflict, match="deleted already"):
        keep(job)


def test_a_file_that_has_changed_is_not_kept_and_says_so(leaving: Leaving) -> None:
    job = leaving({"outputs/model.pkl": "weights"})
    version = keep(job)
    (leaving.volumes / job.volume.engine_name / "outputs/model.pkl").write_text("others, longer")
    folder_of(version.volume, leaving.volumes)
    assert model_files.fill_one()
    assert not model_files.fill_one()
    version.refresh_from_db()
    assert version.state == VersionState.FAILED
    assert version.message == "outputs/model.pkl is not what it was when the job ended."


def test_a_job_finds_the_version_it_named_and_the_record_says_which(
    kept: Callable[..., ModelVersion], submit: Any, tick: Tick, fake_engine: FakeEngine
) -> None:
    first, second = kept(), kept()
    job = submit(command=["predict"], models=["churn-model:1", "churn-model:latest", "churn-model"])
    tick()
    spec = fake_engine.containers[now_running(job)].spec
    mounts = {mount.target: mount for mount in spec.mounts if mount.target.startswith("/data/models/")}
    assert set(mounts) == {"/data/models/churn-model-1", "/data/models/churn-model-2"}
    assert mounts["/data/models/churn-model-1"].volume == first.volume.engine_name
    assert all(mount.read_only for mount in mounts.values())
    assert list(first.users.all()) == list(second.users.all()) == [job]
    kept()
    assert submission_of(job).models == ["churn-model:1", "churn-model:2"]
    again = actions.rerun(job, job.owner, actor="vera")
    assert set(again.used_models.all()) == {first, second}


def test_who_has_left_the_team_starts_without_its_models(
    kept: Callable[..., ModelVersion], submit: Any, tick: Tick, fake_engine: FakeEngine, people: People
) -> None:
    from portal.accounts.models import Membership

    kept()
    before = submit()
    job = submit(command=["predict"], models=["churn-model:1"], after=[before.pk])
    Membership.objects.filter(user=people.vera).delete()
    tick()
    fake_engine.end(now_running(before), 0)
    tick()
    targets = {mount.target for mount in fake_engine.containers[now_running(job)].spec.mounts}
    assert "/data/models/churn-model-1" not in targets


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ("churn-model:2", "Vision has no model “churn-model:2”."),
        ("other", "Vision has no model “other”."),
        ("Churn", "names no model"),
        ("churn-model:0", "names no model"),
        ("churn-model:1:2", "names no model"),
        ("churn-model:99999999999", "names no model"),
    ],
)
def test_a_model_that_is_none_is_refused_at_submission(
    kept: Callable[..., ModelVersion], submit: Any, wanted: str, sentence: str
) -> None:
    kept()
    with pytest.raises(Invalid, match=sentence) as problem:
        submit(models=[wanted])
    assert list(problem.value.fields) == ["models"]


def test_models_are_those_of_the_team_that_pays(kept: Any, submit: Any, people: People) -> None:
    kept()
    with pytest.raises(Invalid, match="Risk has no model"):
        submit(owner=people.oda, models=["churn-model:1"])


def test_one_that_is_not_there_yet_is_not_the_latest(leaving: Leaving, submit: Any) -> None:
    version = keep(leaving({"outputs/model.pkl": "1"}))
    with pytest.raises(Invalid, match="still being kept"):
        submit(models=["churn-model:1"])
    with pytest.raises(Invalid, match="has no model"):
        submit(models=["churn-model"])
    ready(version, leaving.volumes)
    assert submit(models=["churn-model"]).used_models.get() == version


def test_a_version_in_use_is_not_deleted(
    kept: Callable[..., ModelVersion], submit: Any, tick: Tick, fake_engine: FakeEngine
) -> None:
    version = kept()
    job = submit(command=["predict"], name="predict", models=["churn-model:1"])
    tick()
    with pytest.raises(Conflict, match="churn-model:1 is used by predict"):
        registry.delete(version, actor="vera")
    fake_engine.end(now_running(job), 0)
    tick()
    registry.delete(version, actor="vera")
    registry.delete(version, actor="vera")
    assert Volume.objects.get(pk=version.volume_id).delete_requested_at is not None
    assert list(job.used_models.values_list("number", flat=True)) == [1]
    with pytest.raises(Invalid, match="churn-model:1 was deleted"):
        actions.rerun(job, job.owner, actor="vera")
    assert AuditEvent.objects.filter(verb="model.delete_version").count() == 1


def test_every_point_of_a_sweep_has_it(kept: Callable[..., ModelVersion], people: People) -> None:
    version = kept()
    sweep = make_sweep(people.vera, {"models": ["churn-model"]})
    assert version.users.filter(sweep=sweep).count() == sweep.count


def test_a_schedule_takes_the_newest_of_its_time(kept: Callable[..., ModelVersion], people: People) -> None:
    kept()
    schedule = make_schedule(people.vera, {"models": ["churn-model:latest"]})
    kept()
    assert schedule.next_run_at is not None
    with clock.shifted(schedule.next_run_at - clock.now() + timedelta(seconds=1)):
        scheduling.run_due()
    assert Job.objects.get(schedule=schedule).used_models.get().number == 2


def test_what_a_job_was_asked_to_keep_is_kept_when_it_succeeds(leaving: Leaving) -> None:
    job = leaving({"outputs/model.pkl": "1"}, keep_as="churn-model", keep_path="outputs/model.pkl")
    version = ModelVersion.objects.get()
    assert (str(version), version.job, version.created_by) == ("churn-model:1", job, job.owner)
    assert (submission_of(job).keep_as, submission_of(job).keep_path) == ("churn-model", "outputs/model.pkl")


def test_what_was_not_there_to_be_kept_is_said(leaving: Leaving) -> None:
    job = leaving({"outputs/other": "1"}, keep_as="churn-model", keep_path="outputs/model.pkl")
    assert job.state == J.SUCCEEDED
    assert job.message == "It was not kept as churn-model: The job left nothing at “outputs/model.pkl”."
    assert not ModelVersion.objects.exists()


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"keep_as": "Churn", "keep_path": "outputs"}, "model.name"),
        ({"keep_as": "churn", "keep_path": "../x"}, "model.path"),
        ({"keep_path": "outputs"}, "model.name"),
        ({"keep_as": "churn"}, "model.path"),
    ],
)
def test_what_can_never_be_kept_is_refused_at_submission(submit: Any, values: dict[str, str], field: str) -> None:
    with pytest.raises(Invalid) as problem:
        submit(**values)
    assert list(problem.value.fields) == [field]


@pytest.mark.django_db(transaction=True)
def test_many_at_once_are_numbered_without_a_gap(leaving: Leaving) -> None:
    jobs = [leaving({"outputs/model.pkl": "1"}) for _ in range(4)]

    def keep_some(job: Job) -> None:
        for _ in range(3):
            keep(job)
        connection.close()

    threads = [threading.Thread(target=keep_some, args=[job]) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Model.objects.count() == 1
    assert sorted(ModelVersion.objects.values_list("number", flat=True)) == list(range(1, 13))
