"""What a job left: listed and downloaded through the API, and as one archive, by whom it may be."""

import io
import os
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from jobs import actions, collecting
from jobs.models import Artifact, Job
from jobs.states import ArtifactsState
from portal.accounts.actions import create_token
from portal.lib import clock
from tests.conftest import People
from tests.jobs.leaving import Leaving, folder_of
from tests.jobs.test_life import ends

pytestmark = pytest.mark.django_db
FILES = {"outputs/a b.txt": "first", "code/outputs/deep/b.txt": "second"}
INERT = {"Content-Security-Policy": "sandbox; default-src 'none'", "X-Content-Type-Options": "nosniff"}


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def get(client: Client) -> Callable[..., Any]:
    """GET with a token of somebody's."""

    def ask(user: Any, path: str, *scopes: str, **headers: str) -> Any:
        token = create_token(user, "test", list(scopes or ("jobs:read",)), 1, actor="test").secret
        return client.get(f"/api/v1/jobs/{path}", headers={"Authorization": f"Bearer {token}"} | headers)

    return ask


def test_the_list_has_each_file_with_its_address(leaving: Leaving, get: Any, people: People, settings: Any) -> None:
    job = leaving(FILES)
    page = get(people.vera, f"{job.pk}/artifacts/?limit=1").json()
    assert page["results"][0] | {"sha256": ""} == {
        "path": "code/outputs/deep/b.txt",
        "size": 6,
        "sha256": "",
        "url": f"{settings.PORTAL_URL}/api/v1/jobs/{job.pk}/artifacts/code/outputs/deep/b.txt",
    }
    rest = get(people.vera, page["next"].partition("/jobs/")[2]).json()
    assert [one["path"] for one in rest["results"]] == ["outputs/a b.txt"]
    assert rest["next"] is None


def test_the_address_is_that_of_the_file(leaving: Leaving, get: Any, people: People, settings: Any) -> None:
    job = leaving(FILES)
    (url,) = [one["url"] for one in get(people.vera, f"{job.pk}/artifacts/").json()["results"] if " " in one["path"]]
    answer = get(people.vera, url.partition("/jobs/")[2])
    assert b"".join(answer) == b"first"
    assert INERT.items() <= dict(answer.headers).items()
    part = get(people.vera, url.partition("/jobs/")[2], Range="bytes=1-2")
    assert (part.status_code, b"".join(part)) == (206, b"ir")


def test_only_what_it_left_below_its_outputs_is_there(leaving: Leaving, get: Any, people: People) -> None:
    job = leaving(FILES | {"code/secret.txt": "x"})
    for path in (
        "code/secret.txt",
        "outputs",
        "outputs/",
        "outputs/../code/secret.txt",
        "outputs/%2e%2e/code/secret.txt",
    ):
        assert get(people.vera, f"{job.pk}/artifacts/{path}").status_code == 404


def test_owner_and_lead_read_a_member_does_not_and_strangers_learn_nothing(
    leaving: Leaving, get: Any, people: People, bo: Any
) -> None:
    job = leaving(FILES)
    parts = ("artifacts/", "artifacts/outputs/a%20b.txt", "archive/")
    for user, statuses in {
        people.vera: [200, 200, 200],
        people.luis: [200, 200, 200],
        people.ada: [200, 403, 403],
        bo: [403, 403, 403],
        people.oda: [404, 404, 404],
    }.items():
        assert [get(user, f"{job.pk}/{part}").status_code for part in parts] == statuses
    for part in parts:
        assert get(people.vera, f"{job.pk}/{part}", "workspaces:write").status_code == 403


def test_the_archive_holds_every_file_under_its_path(
    leaving: Leaving, get: Any, people: People, signed_in: Callable[[Any], Client]
) -> None:
    job = leaving(FILES)
    answer = get(people.vera, f"{job.pk}/archive/")
    content = b"".join(answer)
    assert len(content) == int(answer["Content-Length"])
    with zipfile.ZipFile(io.BytesIO(content)) as zipped:
        assert zipped.testzip() is None
        assert {name: zipped.read(name).decode() for name in zipped.namelist()} == FILES
    assert INERT.items() <= dict(answer.headers).items()
    client = signed_in(people.vera)
    address = f"/jobs/{job.pk}/archive/"
    assert f'href="{address}"' in client.get(f"/jobs/{job.pk}/").content.decode()
    assert len(b"".join(client.get(address))) == len(content)
    assert address not in signed_in(people.ada).get(f"/jobs/{job.pk}/").content.decode()


def test_the_archive_opens_one_file_after_the_other(leaving: Leaving, get: Any, people: People) -> None:
    job = leaving({f"outputs/{number:03}": "x" * 1000 for number in range(300)})
    before = open_files()
    most, size, answer = 0, 0, get(people.vera, f"{job.pk}/archive/")
    for piece in answer:
        most, size = max(most, open_files()), size + len(piece)
    assert most - before < 20
    assert size == int(answer["Content-Length"])


def test_a_file_that_changed_meanwhile_breaks_the_archive_off(leaving: Leaving, get: Any, people: People) -> None:
    job = leaving(FILES)
    (leaving.volumes / job.volume.engine_name / "outputs/a b.txt").write_text("longer than before")
    with pytest.raises(Exception, match="size"):
        b"".join(get(people.vera, f"{job.pk}/archive/"))


def test_a_job_that_left_nothing_has_no_archive(leaving: Leaving, get: Any, people: People) -> None:
    job = leaving({})
    assert get(people.vera, f"{job.pk}/artifacts/").json()["results"] == []
    assert get(people.vera, f"{job.pk}/archive/").status_code == 404


def test_of_deleted_files_the_record_is_left(leaving: Leaving, get: Any, people: People, settings: Any) -> None:
    job = leaving({"outputs/a": "1"})
    with clock.shifted(timedelta(days=settings.JOB_FILES_DAYS + 1)):
        actions.forget_files()
    (one,) = get(people.vera, f"{job.pk}/artifacts/").json()["results"]
    assert (one["path"], one["url"], len(one["sha256"])) == ("outputs/a", None, 64)
    for part in ("artifacts/outputs/a", "archive/"):
        assert (answer := get(people.vera, f"{job.pk}/{part}")).status_code == 409
        assert answer.json()["code"] == "removed"


def test_a_name_that_no_record_can_hold_is_left_out_and_told(
    submit: Any, tick: Any, fake_engine: Any, volumes: Path
) -> None:
    ends(fake_engine, "true", exit_code=0)
    job: Job = submit(command=["true"])
    own = folder_of(job.volume, volumes)
    (own / "outputs").mkdir()
    (own / "outputs/fine").write_text("1")
    (Path(os.fsdecode(os.fsencode(own) + b"/outputs/\xff"))).write_text("2")
    tick()
    assert collecting.collect_one()
    job.refresh_from_db()
    assert job.artifacts_state == ArtifactsState.PARTIAL
    assert list(Artifact.objects.filter(job=job).values_list("path", flat=True)) == ["outputs/fine"]


def test_the_list_costs_the_same_for_many(
    leaving: Leaving, get: Any, people: People, django_assert_max_num_queries: Any
) -> None:
    job = leaving({f"outputs/{number}": "x" for number in range(60)})
    with django_assert_max_num_queries(12):
        assert len(get(people.vera, f"{job.pk}/artifacts/?limit=50").json()["results"]) == 50
