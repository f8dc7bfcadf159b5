"""Pages of files, as their owner, a team's members, keepers of datasets and strangers see them."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from environments.files import disk, measuring
from environments.models import Dataset, Volume
from portal.accounts.actions import add_member
from portal.accounts.models import Role, Team
from portal.audit.models import AuditEvent
from portal.quotas.models import ResourceLimit
from tests.files.conftest import names

as_root = pytest.mark.skipif(
    os.geteuid() != 0 and "CI" not in os.environ, reason="only root could reach more than the account of people"
)
"""In CI it must run, and fails for an account that is not root."""

pytestmark = pytest.mark.django_db(transaction=True)
At = Callable[..., Path]
Sign = Callable[[Any], Client]

ESCAPES = [
    "../../etc/passwd",
    "..%2f..%2fetc/passwd",
    "%2e%2e/%2e%2e/etc/passwd",
    "/etc/passwd",
    "a/../../b",
    "x%00y",
    "x%0ay",
    "x" * 256,
    "%ff",
]


def test_everybody_sees_their_own_folders(signed_in: Sign, people: Any, numbers: Dataset) -> None:
    wanted = {
        people.vera: {"home", "team-vision", "data-numbers"},
        people.oda: {"home", "team-risk"},
        people.ada: {"home", "data-numbers"},
    }
    for user, keys in wanted.items():
        page = signed_in(user).get("/files/").content.decode()
        assert {
            key for key in ("home", "team-vision", "team-risk", "data-numbers") if f'/files/{key}/"' in page
        } == keys


def test_the_list_of_folders_takes_a_constant_number_of_queries(
    signed_in: Sign, people: Any, django_assert_max_num_queries: Any
) -> None:
    for number in range(20):
        Dataset.objects.create(name=f"set-{number}", summary="s", teams=["*"])
        add_member(Team.objects.create(slug=f"t{number}", name="T"), people.vera, Role.MEMBER, actor="test")
    client = signed_in(people.vera)
    with django_assert_max_num_queries(11):
        client.get("/files/")


def test_nobody_gets_into_what_is_not_theirs(signed_in: Sign, people: Any, at: At, numbers: Dataset) -> None:
    at(people.vera, "team-vision"), at(people.ada, "data-numbers")
    for user, key in ((people.oda, "team-vision"), (people.ada, "team-vision"), (people.oda, "data-numbers")):
        client = signed_in(user)
        for address in ("", "browse/x", "download/x", "picture/x", "rename/x", "delete/x"):
            assert client.get(f"/files/{key}/{address}").status_code == 404
        for address in ("make/", "folder/", "form/", "upload/"):
            assert client.post(f"/files/{key}/{address}").status_code == 404
    assert Client().get("/files/home/").status_code == 302


def test_a_home_is_always_ones_own(signed_in: Sign, people: Any, at: At) -> None:
    (at(people.vera) / "mine.txt").write_text("vera's")
    at(people.ada)
    assert "mine.txt" in signed_in(people.vera).get("/files/home/").content.decode()
    assert "mine.txt" not in signed_in(people.ada).get("/files/home/").content.decode()


def test_members_read_a_dataset_and_keepers_fill_it(signed_in: Sign, people: Any, at: At, numbers: Dataset) -> None:
    add_member(Team.objects.get(slug="risk"), people.oda, Role.LEAD, actor="test")
    (at(people.ada, "data-numbers") / "one.csv").write_text("1")
    member = signed_in(people.vera)
    page = member.get("/files/data-numbers/").content.decode()
    assert "one.csv" in page
    assert 'id="upload"' not in page
    assert b"".join(member.get("/files/data-numbers/download/one.csv")) == b"1"
    for address in ("folder/", "form/", "upload/", "delete/one.csv", "rename/one.csv", "make/"):
        assert member.post(f"/files/data-numbers/{address}").status_code == 403
    for keeper in (people.oda, people.ada):
        assert 'id="upload"' in signed_in(keeper).get("/files/data-numbers/").content.decode()


def test_who_leaves_a_team_loses_its_folder(signed_in: Sign, people: Any, at: At) -> None:
    at(people.vera, "team-vision")
    client = signed_in(people.vera)
    assert client.get("/files/team-vision/").status_code == 200
    people.vera.memberships.all().delete()
    assert client.get("/files/team-vision/").status_code == 404


def test_a_folder_that_is_not_there_yet_says_so_and_can_be_made(signed_in: Sign, people: Any, volumes: Path) -> None:
    client = signed_in(people.vera)
    assert "Make it now" in client.get("/files/home/").content.decode()
    assert Volume.objects.count() == 0
    assert client.post("/files/home/make/").status_code == 302
    assert Volume.objects.get().owner == people.vera
    assert "It is being made" in client.get("/files/home/").content.decode()
    assert client.get("/files/home/browse/x").status_code == 404


def test_without_the_engines_folder_the_page_says_why(signed_in: Sign, people: Any, at: At, settings: Any) -> None:
    at(people.vera)
    settings.VOLUMES = "/nowhere/volumes"
    answer = signed_in(people.vera).get("/files/home/")
    assert answer.status_code == 503
    assert "BERTH_VOLUMES" in answer.content.decode()


def test_a_folder_is_made_renamed_and_deleted(signed_in: Sign, people: Any, at: At) -> None:
    home, client = at(people.vera), signed_in(people.vera)
    client.post("/files/home/folder/", {"name": "study 1"})
    client.post("/files/home/folder/study 1", {"name": "data"})
    (home / "study 1/data/x.csv").write_text("x" * 100)
    if os.geteuid() == 0:
        assert (home / "study 1").stat().st_uid == 1000
    client.post("/files/home/rename/study 1", {"name": "study ☃"})
    question = client.get("/files/home/delete/study ☃").content.decode()
    assert "at least" not in question
    assert "1 file in 2 folders" in question
    assert (home / "study ☃/data/x.csv").exists()
    client.post("/files/home/delete/study ☃")
    assert names(home) == []
    verbs = AuditEvent.objects.filter(verb__startswith="file.").values_list("verb", flat=True)
    assert set(verbs) == {"file.make_folder", "file.rename", "file.delete"}


@pytest.mark.parametrize("name", ["", "..", ".", "a/b", "x" * 300, "ä" * 200, "taken", ".berth"])
def test_a_bad_name_comes_back_beside_its_field(signed_in: Sign, people: Any, at: At, name: str) -> None:
    home, client = at(people.vera), signed_in(people.vera)
    (home / "taken").mkdir()
    (home / "old").write_text("old")
    for address in ("folder/", "rename/old"):
        answer = client.post(f"/files/home/{address}", {"name": name})
        assert answer.status_code == 422
        assert "field-error" in answer.content.decode()
    assert names(home) == ["old", "taken"]


@pytest.mark.parametrize("path", ESCAPES)
def test_no_address_leads_out(signed_in: Sign, people: Any, at: At, path: str) -> None:
    at(people.vera)
    client = signed_in(people.vera)
    for verb in ("browse", "download", "picture", "rename", "delete"):
        assert client.get(f"/files/home/{verb}/{path}").status_code in (404, 400), verb
    for verb in ("rename", "delete", "folder", "form", "upload"):
        told = {"Upload-Length": "1", "Upload-Metadata": "filename eA=="}
        answer = client.post(f"/files/home/{verb}/{path}", {"name": "x"}, headers=told)
        assert answer.status_code in (404, 422 if verb == "form" else 404), verb
    assert client.get("/files/..%2f..%2fetc/").status_code == 404


def test_a_link_is_shown_and_not_followed(signed_in: Sign, people: Any, at: At, tmp_path: Path) -> None:
    home, client = at(people.vera), signed_in(people.vera)
    (tmp_path / "secret").write_text("outside")
    (home / "file").symlink_to(tmp_path / "secret")
    (home / "folder").symlink_to(tmp_path)
    page = client.get("/files/home/").content.decode()
    assert page.count("a link, not followed here") == 2
    for address in ("browse/file", "download/file", "browse/folder", "download/folder/secret", "picture/file"):
        assert client.get(f"/files/home/{address}").status_code == 404
    assert client.post("/files/home/folder/folder", {"name": "x"}).status_code == 404
    assert client.post("/files/home/delete/folder/secret").status_code == 404
    client.post("/files/home/delete/folder")
    assert (tmp_path / "secret").read_text() == "outside"


@as_root
def test_what_belongs_to_another_account_stays_closed(signed_in: Sign, people: Any, at: At) -> None:
    home, client = at(people.vera), signed_in(people.vera)
    (home / "roots").write_text("root's")
    (home / "roots").chmod(0o600)
    assert client.get("/files/home/download/roots").status_code == 403
    (home / "closed").mkdir(mode=0o700)
    assert client.get("/files/home/browse/closed").status_code == 403
    assert os.geteuid() == 0  # and afterwards all is as it was
    (home / "another").write_text("x")


@as_root
def test_the_groups_of_a_login_close_nothing(signed_in: Sign, people: Any, at: At, volumes: Path) -> None:
    home, client = at(people.vera), signed_in(people.vera)
    (home / "notes").write_text("hello")
    for folder in (volumes, home.parent):  # as Docker makes them: all but group 0 may pass
        folder.chmod(0o701)
    before = os.getgroups()
    os.setgroups([0])
    try:
        disk._leave_groups.cache_clear()
        assert b"".join(client.get("/files/home/download/notes")) == b"hello"
    finally:
        os.setgroups(before)


PAYLOADS = {
    "page.html": "<script>alert(1)</script>",
    "drawing.svg": '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "page.png": "<html><script>alert(1)</script>",
    "<script>alert(1)": "x",
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_html_and_svg_are_text_or_a_download(signed_in: Sign, people: Any, at: At, name: str) -> None:
    home, client = at(people.vera), signed_in(people.vera)
    (home / name.replace("/", "")).write_text(PAYLOADS[name])
    for address in ("/files/home/", f"/files/home/browse/{name}"):
        assert "<script>alert" not in client.get(address).content.decode()
        assert "onload=" not in client.get(address).content.decode().replace("onload=&quot;", "")
    assert client.get(f"/files/home/picture/{name}").status_code == 404
    answer = client.get(f"/files/home/download/{name}")
    assert_inert(answer)
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"].startswith("attachment;")


def assert_inert(answer: Any) -> None:
    assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert answer["X-Content-Type-Options"] == "nosniff"


PNG = bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001000000010806000000")


def test_a_picture_is_shown_as_what_it_is(signed_in: Sign, people: Any, at: At) -> None:
    home, client = at(people.vera), signed_in(people.vera)
    (home / "x.svg").write_bytes(PNG)
    assert "/files/home/picture/x.svg" in client.get("/files/home/browse/x.svg").content.decode()
    answer = client.get("/files/home/picture/x.svg")
    assert answer["Content-Type"] == "image/png"
    assert_inert(answer)


def test_a_notebook_is_shown_without_what_could_run(signed_in: Sign, people: Any, at: At) -> None:
    html = {"text/html": "<b onclick=alert(1)>bold</b>", "text/plain": "plain words", "image/svg+xml": "<svg/>"}
    bad = {"image/png": 'x" onerror="alert(1)'}
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "<img src=x onerror=alert(1)>"]},
        {"cell_type": "code", "source": "print(1)", "outputs": [{"data": html}, {"text": ["one\n"]}, {"data": bad}]},
    ]
    home, client = at(people.vera), signed_in(people.vera)
    (home / "n.ipynb").write_text(json.dumps({"cells": cells}))
    page = client.get("/files/home/browse/n.ipynb").content.decode()
    assert "plain words" in page
    assert "print(1)" in page
    assert "onclick" not in page
    assert "<img src=x" not in page
    assert 'onerror="' not in page
    for broken in ('{"cells": 3}', '{"cells": [3]}', "[", '{"cells": [{"source": 1}]}', "[" * 100_000):
        (home / "n.ipynb").write_text(broken)
        assert client.get("/files/home/browse/n.ipynb").status_code == 200


def test_text_is_cut_and_other_files_are_not_shown(signed_in: Sign, people: Any, at: At) -> None:
    home, client = at(people.vera), signed_in(people.vera)
    (home / "long.txt").write_text("ä" * 400_000)
    (home / "binary").write_bytes(bytes(range(256)))
    page = client.get("/files/home/browse/long.txt").content.decode()
    assert "Only the beginning is shown." in page
    assert page.count("ä") < 140_000
    assert "neither text nor a picture" in client.get("/files/home/browse/binary").content.decode()


@pytest.mark.parametrize(
    ("asked", "status", "content", "said"),
    [
        ("", 200, b"0123456789", None),
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=0-1,3-4", 200, b"0123456789", None),
        ("bytes=-", 200, b"0123456789", None),
        ("lines=1-2", 200, b"0123456789", None),
    ],
)
def test_a_download_can_be_a_range(
    signed_in: Sign, people: Any, at: At, asked: str, status: int, content: bytes, said: str | None
) -> None:
    home, client = at(people.vera), signed_in(people.vera)
    (home / "ten").write_bytes(b"0123456789")
    answer: Any = client.get("/files/home/download/ten", headers={"Range": asked} if asked else {})
    assert answer.status_code == status
    assert b"".join(answer) == content
    assert answer.headers.get("Content-Range") == said


def test_a_range_of_a_file_that_has_changed_is_the_whole_new_one(signed_in: Sign, people: Any, at: At) -> None:
    home, client = at(people.vera), signed_in(people.vera)
    (home / "ten").write_bytes(b"0123456789")
    mark = client.get("/files/home/download/ten")["ETag"]
    asked = {"Range": "bytes=2-4", "If-Range": mark}
    assert client.get("/files/home/download/ten", headers=asked).status_code == 206
    (home / "ten").write_bytes(b"eleven here")
    answer: Any = client.get("/files/home/download/ten", headers=asked)
    assert (answer.status_code, b"".join(answer)) == (200, b"eleven here")


def test_a_long_folder_is_cut_and_says_so(
    signed_in: Sign, people: Any, at: At, django_assert_max_num_queries: Any
) -> None:
    home, client = at(people.vera), signed_in(people.vera)
    for number in range(1005):
        (home / f"{number:04}").touch()
    with django_assert_max_num_queries(10):
        page = client.get("/files/home/").content.decode()
    assert "The first 1000 of 1005." in page
    assert "1004</a>" not in page


def test_what_is_nearly_full_warns_everywhere(
    signed_in: Sign, people: Any, at: At, settings: Any, make_workspace: Any
) -> None:
    home, client = at(people.vera), signed_in(people.vera)
    workspace = make_workspace()
    (home / "large").write_bytes(b"x" * 940 * 1024)
    while measuring.measure_one():
        disk._leave_groups.cache_clear()
    assert Volume.objects.get(kind="home").used == 940 * 1024
    from environments.files import access

    pages = ("/", "/files/", "/files/home/", f"/workspaces/{workspace.pk}/")
    for size, warned in ((1024**2, True), (4 * 1024**2, False)):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(access, "GB", size)
            ResourceLimit.objects.update_or_create(resource="storage_gib", defaults={"each_person": 1})
            for page in pages:
                text = client.get(page).content.decode()
                assert ("nearly full" in text.lower()) is warned, page


def test_the_quota_page_shows_what_homes_and_folders_of_teams_take(signed_in: Sign, people: Any, at: At) -> None:
    ResourceLimit.objects.create(resource="storage_gib", each_person=50, each_team=200)
    at(people.vera), at(people.vera, "team-vision")
    Volume.objects.filter(kind="home").update(used=3 * 2**29)
    Volume.objects.filter(kind="team").update(used=2**30)
    page = signed_in(people.vera).get("/quota/").content.decode()
    for told in ("Storage (GB of files)", "You: 1.5 of 50", "Team Vision: 1 of 200"):
        assert told in page
    assert "Team Risk: 0 of 200" in signed_in(people.oda).get("/quota/").content.decode()


def test_measuring_goes_on_when_one_volume_cannot_be_read(people: Any, at: At) -> None:
    gone, there = at(people.vera), at(people.oda)
    gone.rmdir()
    (there / "x").write_bytes(b"x" * 4096)
    while measuring.measure_one():
        disk._leave_groups.cache_clear()
    assert Volume.objects.get(owner=people.vera).used is None
    assert Volume.objects.get(owner=people.oda).used == 4096


def test_nothing_changes_on_get_and_forms_need_their_token(people: Any, at: At) -> None:
    home, client = at(people.vera), Client(enforce_csrf_checks=True)
    client.force_login(people.vera, backend="django.contrib.auth.backends.ModelBackend")
    (home / "x").write_text("x")
    for address in ("make/", "folder/", "form/", "upload/"):
        assert client.get(f"/files/home/{address}").status_code == 405
        assert client.post(f"/files/home/{address}").status_code == 403
    assert client.get("/files/home/delete/x").status_code == 200
    assert client.post("/files/home/delete/x").status_code == 403
    assert (home / "x").exists()
