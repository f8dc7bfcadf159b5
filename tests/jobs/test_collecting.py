"""Code copied from a home, and what a job left: on real folders, as the process `files` does it."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from errno import EIO
from pathlib import Path
from typing import Any

import pytest
from django.db.models import Model
from django.test import Client

from jobs import actions, collecting
from jobs.models import Artifact, Job, Snapshot
from jobs.states import ArtifactsState, CodeState, J
from portal.lib import beneath, clock
from tests.conftest import People
from tests.jobs.leaving import folder_of
from tests.jobs.test_life import ends

pytestmark = pytest.mark.django_db
Submit = Callable[..., Job]
Tick = Callable[..., None]


@pytest.fixture
def from_workspace(make_workspace: Callable[..., Any], submit: Submit, volumes: Path) -> Callable[..., Any]:
    """A job of a folder of a workspace's home, with that home and where its code is copied to."""

    def make(folder: str) -> tuple[Job, Path, Path]:
        workspace = make_workspace()
        job = submit(template=None, workspace=workspace.pk, folder=folder)
        assert job.snapshot is not None
        return job, folder_of(workspace.home, volumes), folder_of(job.snapshot.volume, volumes)

    return make


def test_a_folder_is_copied_as_it_is_now(from_workspace: Any, tick: Tick, fake_engine: Any) -> None:
    job, home, own = from_workspace("churn/src")
    source = home / "churn/src"
    (source / "deep").mkdir(parents=True)
    (source / "train.py").write_text("print(1)")
    (source / "deep/run.sh").write_text("true")
    (source / "deep/run.sh").chmod(0o755)
    (source / "__pycache__").mkdir()
    (source / "link").symlink_to("/etc/passwd")
    tick()
    job.refresh_from_db()
    assert (job.state, job.attempts.count(), job.message) == (J.QUEUED, 0, "Copying its code")
    assert collecting.copy_one()
    (source / "train.py").write_text("print(2)")
    assert not collecting.copy_one()
    assert (own / "code/train.py").read_text() == "print(1)"
    assert os.access(own / "code/deep/run.sh", os.X_OK)
    assert (own / "code/link").readlink() == Path("/etc/passwd")
    assert not (own / "code/__pycache__").exists()
    assert [one.name for one in own.iterdir()] == ["code"]
    job.refresh_from_db()
    assert (job.snapshot.state, len(job.code_hash)) == (CodeState.READY, 64)
    tick()
    assert job.attempts.count() == 1


def test_a_folder_of_the_home_needs_no_workspace(submit: Submit, people: People, volumes: Path) -> None:
    from environments.volumes import home_of

    job = submit(folder="src")
    home = folder_of(home_of(people.vera), volumes)
    (home / "src").mkdir()
    (home / "src/a").write_text("1")
    assert job.snapshot is not None
    own = folder_of(job.snapshot.volume, volumes)
    assert collecting.copy_one()
    assert (own / "code/a").exists()


def test_a_repository_in_the_environment_of_a_workspace(make_workspace: Callable[..., Any], submit: Submit) -> None:
    workspace = make_workspace()
    job = submit(template=None, workspace=workspace.pk, git_url="https://git.example.org/team/churn.git")
    assert (job.snapshot, job.version) == (None, workspace.version)


def test_the_same_folder_has_the_same_hash(from_workspace: Any) -> None:
    hashes = set()
    for text in ("a", "a", "b"):
        job, home, _ = from_workspace("src")
        (home / "src").mkdir(exist_ok=True)
        (home / "src/train.py").write_text(text)
        collecting.copy_one()
        job.refresh_from_db()
        hashes.add(job.code_hash)
    assert len(hashes) == 2


def test_of_a_whole_home_nothing_hidden(from_workspace: Any) -> None:
    _, home, own = from_workspace("")
    (home / ".ssh").mkdir()
    (home / ".ssh/id").write_text("secret")
    (home / "train.py").write_text("1")
    collecting.copy_one()
    assert [one.name for one in (own / "code").iterdir()] == ["train.py"]


def test_a_folder_that_is_not_there_ends_the_job_before_it_starts(from_workspace: Any, tick: Tick) -> None:
    job, _, _ = from_workspace("nope")
    collecting.copy_one()
    job.refresh_from_db()
    assert (job.state, job.message) == (J.FAILED, "There is no folder or archive ~/nope in the home of Vera Rosén.")


def test_a_folder_behind_a_link_is_none(from_workspace: Any) -> None:
    job, home, own = from_workspace("out")
    (home / "out").symlink_to("/etc")
    collecting.copy_one()
    job.refresh_from_db()
    assert job.state == J.FAILED
    assert not (own / "code").exists()


def test_one_that_is_too_large_says_so(from_workspace: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    job, home, _ = from_workspace("src")
    (home / "src").mkdir()
    (home / "src/data").write_bytes(b"x" * 100)
    monkeypatch.setattr(collecting, "MOST_CODE", 99)
    collecting.copy_one()
    job.refresh_from_db()
    assert job.state == J.FAILED
    assert "too large to be copied" in job.message


def test_cancelling_while_it_waits_copies_nothing(from_workspace: Any, tick: Tick) -> None:
    job, _, _ = from_workspace("src")
    actions.cancel(job, actor="vera")
    assert not collecting.copy_one()
    tick()
    job.refresh_from_db()
    assert (job.state, job.attempts.count()) == (J.CANCELLED, 0)


def test_what_a_dead_copier_left_is_copied_anew(from_workspace: Any) -> None:
    job, home, own = from_workspace("src")
    (home / "src").mkdir()
    (home / "src/a").write_text("1")
    Snapshot.objects.update(files_until=clock.now())
    with clock.shifted(collecting.LEASE):
        assert collecting.copy_one()
    assert (own / "code/a").exists()
    job.refresh_from_db()
    assert job.snapshot.state == CodeState.READY


def test_what_a_dead_copier_copied_half_is_no_part_of_it(from_workspace: Any) -> None:
    _, home, own = from_workspace("src")
    (home / "src").mkdir()
    (home / "src/a").write_text("1")
    half = own / f".copying-{os.getpid()}"
    half.mkdir()
    (half / "a").write_text("longer than it is now")
    (half / "deleted").write_text("meanwhile")
    (own / ".copying-1").mkdir()
    assert collecting.copy_one()
    assert [path.read_text() for path in (own / "code").iterdir()] == ["1"]
    assert [one.name for one in own.iterdir()] == ["code"]


@pytest.fixture
def each_byte_takes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[Any]]]:
    """Let so much time pass with each byte; what others find who then look for work of that kind."""
    with ExitStack() as later:

        def slow_down(by: timedelta, kind: type[Model]) -> list[Any]:
            found: list[Any] = []
            real = hashlib.sha256

            class Slow:
                def __init__(self) -> None:
                    self.sha = real()
                    self.hexdigest = self.sha.hexdigest

                def update(self, piece: bytes) -> None:
                    self.sha.update(piece)
                    later.enter_context(clock.shifted(by))
                    found.append(collecting._claimed(kind._default_manager.all()))

            monkeypatch.setattr(collecting, "PIECE", 1)
            monkeypatch.setattr(hashlib, "sha256", Slow)
            return found

        yield slow_down


def test_a_long_copy_keeps_its_lease(from_workspace: Any, each_byte_takes: Any) -> None:
    job, home, _ = from_workspace("src")
    (home / "src").mkdir()
    (home / "src/a").write_text("0123456789")
    others = each_byte_takes(collecting.LEASE / 2, Snapshot)
    assert collecting.copy_one()
    assert others == [None] * 10
    job.refresh_from_db()
    assert (job.snapshot.state, job.snapshot.files_until) == (CodeState.READY, None)


def test_one_that_stood_still_leaves_the_copy_to_whoever_took_it_over(
    from_workspace: Any, each_byte_takes: Any
) -> None:
    job, home, own = from_workspace("src")
    (home / "src").mkdir()
    (home / "src/a").write_text("01")
    others = each_byte_takes(collecting.LEASE * 2, Snapshot)
    assert collecting.copy_one()
    assert others == [job.snapshot]
    job.snapshot.refresh_from_db()
    assert job.snapshot.state == CodeState.WAITING
    assert not (own / "code").exists()


def test_a_disk_that_fails_ends_the_job_with_that_reason(from_workspace: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    job, home, _ = from_workspace("src")
    (home / "src").mkdir()
    (home / "src/a").write_text("1")
    real = beneath.read

    def broken(where: int, name: str) -> int:
        raise OSError(EIO, os.strerror(EIO))

    monkeypatch.setattr(beneath, "read", broken)
    assert collecting.copy_one()
    job.refresh_from_db()
    assert (job.state, job.message) == (J.FAILED, "Its code could not be copied: Input/output error.")
    assert (job.snapshot.state, job.snapshot.files_until) == (CodeState.FAILED, None)
    monkeypatch.setattr(beneath, "read", real)
    assert not collecting.copy_one()


def test_artifacts_are_what_lies_below_the_outputs(
    submit: Submit, tick: Tick, fake_engine: Any, volumes: Path, people: People, client: Client
) -> None:
    ends(fake_engine, "true", exit_code=0)
    job = submit(command=["true"], outputs=["outputs", "model.bin", "../x"[3:], "missing"])
    own = folder_of(job.volume, volumes)
    for path in ("outputs/a.txt", "code/outputs/deep/b.txt", "code/model.bin", "code/secret.txt", "checkpoints/c"):
        (own / path).parent.mkdir(parents=True, exist_ok=True)
        (own / path).write_text(path)
    (own / "outputs/link").symlink_to("/etc/passwd")
    os.mkfifo(own / "outputs/pipe")
    tick()
    assert collecting.collect_one()
    assert not collecting.collect_one()
    job.refresh_from_db()
    assert job.artifacts_state == ArtifactsState.COMPLETE
    found = {row.path: row.sha256 for row in Artifact.objects.filter(job=job)}
    assert set(found) == {"outputs/a.txt", "code/outputs/deep/b.txt", "code/model.bin"}
    assert found["outputs/a.txt"] == hashlib.sha256(b"outputs/a.txt").hexdigest()
    client.force_login(people.vera, backend="django.contrib.auth.backends.ModelBackend")
    base = f"/files/job-{job.pk.lower()}/"
    answer = client.get(f"{base}download/outputs/a.txt")
    assert b"".join(answer) == b"outputs/a.txt"
    assert client.get(f"{base}browse/outputs/a.txt").status_code == 200
    assert client.post(f"{base}delete/outputs/a.txt").status_code == 403
    client.force_login(people.oda, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get(f"{base}download/outputs/a.txt").status_code == 404


def test_a_file_that_cannot_be_read_is_left_out_and_the_rest_is_kept(
    submit: Submit, tick: Tick, fake_engine: Any, volumes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends(fake_engine, "true", exit_code=0)
    job = submit(command=["true"])
    own = folder_of(job.volume, volumes)
    (own / "outputs/deep").mkdir(parents=True)
    for name in ("a", "bad", "deep/c"):
        (own / "outputs" / name).write_text(name)
    Path(os.fsdecode(bytes(own) + b"/outputs/\xff")).write_text("its name is no text")
    tick()
    real = beneath.read

    def broken(where: int, name: str) -> int:
        if name == "bad":
            raise OSError(EIO, os.strerror(EIO))
        return real(where, name)

    monkeypatch.setattr(beneath, "read", broken)
    assert collecting.collect_one()
    assert not collecting.collect_one()
    job.refresh_from_db()
    assert job.artifacts_state == ArtifactsState.PARTIAL
    found = Artifact.objects.filter(job=job)
    assert [(row.path, row.size) for row in found] == [("outputs/a", 1), ("outputs/deep/c", 6)]


def test_collecting_much_keeps_its_lease(
    submit: Submit, tick: Tick, fake_engine: Any, volumes: Path, each_byte_takes: Any
) -> None:
    ends(fake_engine, "true", exit_code=0)
    job = submit(command=["true"])
    own = folder_of(job.volume, volumes)
    (own / "outputs").mkdir()
    (own / "outputs/a").write_text("0123456789")
    tick()
    others = each_byte_takes(collecting.LEASE / 2, Job)
    assert collecting.collect_one()
    assert others == [None] * 10
    job.refresh_from_db()
    assert (job.artifacts_state, job.files_until) == (ArtifactsState.COMPLETE, None)
    assert Artifact.objects.get(job=job).size == 10


def test_what_cannot_be_read_whole_is_marked(
    submit: Submit, tick: Tick, fake_engine: Any, volumes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends(fake_engine, "true", exit_code=0)
    job = submit(command=["true"])
    own = folder_of(job.volume, volumes)
    (own / "outputs").mkdir()
    for number in range(5):
        (own / f"outputs/{number}").write_text("x")
    tick()
    monkeypatch.setattr(collecting, "MOST_FILES", 3)
    collecting.collect_one()
    job.refresh_from_db()
    assert (job.artifacts_state, Artifact.objects.filter(job=job).count()) == (ArtifactsState.PARTIAL, 3)
