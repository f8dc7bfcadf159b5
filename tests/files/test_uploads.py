"""Uploads by form and by protocol: whole, in pieces, broken off, refused."""

import errno
import os
from base64 import b64encode
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from environments.files import access, measuring, uploads
from environments.files.upload_models import Upload
from environments.models import Dataset, Volume
from portal.audit.models import AuditEvent
from portal.lib import clock
from portal.quotas.models import ResourceLimit
from tests.files.conftest import names

pytestmark = pytest.mark.django_db(transaction=True)
At = Callable[..., Path]
Sign = Callable[[Any], Client]
PIECE = "application/offset+octet-stream"


def begin(client: Client, name: str, length: int, folder: str = "", key: str = "home", more: str = "") -> Any:
    told = f"filename {b64encode(name.encode()).decode()}{more}"
    return client.post(f"/files/{key}/upload/{folder}", headers={"Upload-Length": str(length), "Upload-Metadata": told})


def patch(client: Client, url: str, at: int, content: bytes) -> Any:
    return client.patch(url, content, headers={"Upload-Offset": str(at)}, content_type=PIECE)


def visible(folder: Path) -> list[str]:
    return [name for name in names(folder) if name != ".berth"]


def test_a_file_comes_in_pieces_and_appears_whole(signed_in: Sign, people: Any, at: At) -> None:
    home, client = at(people.vera), signed_in(people.vera)
    (home / "data").mkdir(mode=0o777)
    (home / "data").chmod(0o777)
    made = begin(client, "wörds ☃.bin", 10, "data")
    assert made.status_code == 201
    url = made["Location"]
    assert patch(client, url, 0, b"01234")["Upload-Offset"] == "5"
    assert visible(home / "data") == []
    head = client.head(url)
    assert (head["Upload-Offset"], head["Upload-Length"], head["Tus-Resumable"]) == ("5", "10", "1.0.0")
    assert patch(client, url, 5, b"56789").status_code == 204
    assert (home / "data/wörds ☃.bin").read_bytes() == b"0123456789"
    assert names(home / ".berth/uploads") == []
    assert client.head(url).status_code == 404
    assert not Upload.objects.exists()
    event = AuditEvent.objects.get(verb="file.upload")
    assert event.before == {"path": "data/wörds ☃.bin"}


def test_an_empty_file_is_there_at_once(signed_in: Sign, people: Any, at: At) -> None:
    home, client = at(people.vera), signed_in(people.vera)
    assert begin(client, "empty", 0).status_code == 201
    assert (home / "empty").read_bytes() == b""


class Broken:
    """A connection that gives this much and then breaks off."""

    def __init__(self, content: bytes) -> None:
        self._source = BytesIO(content)

    def read(self, size: int, /) -> bytes:
        piece = self._source.read(size)
        if not piece:
            raise ConnectionResetError
        return piece


def test_what_has_come_before_the_connection_broke_stays(people: Any, at: At) -> None:
    home = at(people.vera)
    place = access.place_for(people.vera, "home")
    upload = uploads.begin(place, (), "x", 10, user=people.vera, replace=False)
    assert uploads.append(upload, 0, Broken(b"0123"), actor="vera") == 4
    again = uploads.upload_of(people.vera, upload.pk)
    assert uploads.offset(again) == 4
    assert uploads.append(again, 4, BytesIO(b"456789"), actor="vera") == 10
    assert (home / "x").read_bytes() == b"0123456789"


def test_pieces_out_of_order_too_long_or_without_their_type_are_refused(signed_in: Sign, people: Any, at: At) -> None:
    home, client = at(people.vera), signed_in(people.vera)
    url = begin(client, "x", 5)["Location"]
    assert patch(client, url, 3, b"34").status_code == 409
    assert patch(client, url, 0, b"012345").status_code == 413
    assert client.patch(url, b"0", headers={"Upload-Offset": "0"}, content_type="text/plain").status_code == 422
    for offset in ("-1", "x", "", "9" * 30):
        assert client.patch(url, b"0", headers={"Upload-Offset": offset}, content_type=PIECE).status_code == 422
    assert client.head(url)["Upload-Offset"] == "0"
    assert visible(home) == []


@pytest.mark.parametrize("length", ["-1", "x", "", str(2**62)])
def test_a_length_must_be_one(signed_in: Sign, people: Any, at: At, length: str) -> None:
    at(people.vera)
    answer = signed_in(people.vera).post(
        "/files/home/upload/", headers={"Upload-Length": length, "Upload-Metadata": "filename eA=="}
    )
    assert answer.status_code == 422


@pytest.mark.parametrize("name", ["", "..", "a/b", "../x", "x" * 256, "a\0b"])
def test_a_bad_name_begins_no_upload(signed_in: Sign, people: Any, at: At, name: str) -> None:
    home = at(people.vera)
    assert begin(signed_in(people.vera), name, 5).status_code == 422
    assert not Upload.objects.exists()
    assert visible(home) == []


def test_two_uploads_of_one_name_are_both_kept_unless_one_replaces(signed_in: Sign, people: Any, at: At) -> None:
    home, client = at(people.vera), signed_in(people.vera)
    first, second = (begin(client, "x.csv", 3)["Location"] for _ in range(2))
    patch(client, first, 0, b"one"), patch(client, second, 0, b"two")
    assert {name: (home / name).read_text() for name in visible(home)} == {"x.csv": "one", "x (2).csv": "two"}
    patch(client, begin(client, "x.csv", 5, more=",replace")["Location"], 0, b"three")
    assert (home / "x.csv").read_text() == "three"


def test_one_piece_at_a_time(signed_in: Sign, people: Any, at: At) -> None:
    home, client = at(people.vera), signed_in(people.vera)
    url = begin(client, "x", 5)["Location"]
    import fcntl

    with (home / ".berth/uploads" / url.split("/")[-2]).open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert patch(client, url, 0, b"01").status_code == 423
    assert patch(client, url, 0, b"01").status_code == 204


def test_an_upload_belongs_to_who_began_it_and_to_their_rights(signed_in: Sign, people: Any, at: At) -> None:
    team = at(people.vera, "team-vision")
    url = begin(signed_in(people.vera), "x", 5, key="team-vision")["Location"]
    for other in (people.luis, people.oda, people.ada):
        assert signed_in(other).head(url).status_code == 404
    client = signed_in(people.vera)
    people.vera.memberships.all().delete()
    assert patch(client, url, 0, b"01234").status_code == 404
    assert visible(team) == []


def test_a_cancelled_upload_leaves_nothing(signed_in: Sign, people: Any, at: At) -> None:
    home, client = at(people.vera), signed_in(people.vera)
    url = begin(client, "x", 5)["Location"]
    patch(client, url, 0, b"01")
    assert client.delete(url).status_code == 204
    assert names(home / ".berth/uploads") == []
    assert client.delete(url).status_code == 404


def test_uploads_that_nobody_goes_on_with_are_swept(signed_in: Sign, people: Any, at: At) -> None:
    home, client = at(people.vera), signed_in(people.vera)
    old, fresh = (begin(client, name, 5)["Location"] for name in ("old", "fresh"))
    Upload.objects.filter(name="old").update(touched_at=clock.now() - timedelta(days=3))
    measuring.measure_one()
    assert client.head(old).status_code == 404
    assert client.head(fresh).status_code == 200
    assert len(names(home / ".berth/uploads")) == 1


def test_what_does_not_fit_is_refused_before_a_byte_has_come(
    signed_in: Sign, people: Any, at: At, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(people.vera)
    client = signed_in(people.vera)
    monkeypatch.setattr(access, "GB", 100)
    ResourceLimit.objects.create(resource="storage_gib", each_person=1)
    Volume.objects.update(used=60)
    refused = begin(client, "x", 41)
    assert refused.status_code == 413
    assert "Home may hold 100 bytes" in refused.content.decode()
    assert begin(client, "x", 30).status_code == 201
    assert begin(client, "y", 30).status_code == 413
    answer = client.post("/files/home/form/", {"files": SimpleUploadedFile("x", b"x" * 50)})
    assert answer.status_code == 413
    assert "field-error" in answer.content.decode()


def test_a_disk_without_room_is_said(signed_in: Sign, people: Any, at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    home, client = at(people.vera), signed_in(people.vera)
    assert begin(client, "x", 2**43, key="home").status_code in (413, 507)
    url = begin(client, "x", 5)["Location"]

    def full(*_arguments: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        refused = patch(client, url, 0, b"01")
    assert refused.status_code == 507
    assert "The disk is full" in refused.content.decode()
    assert patch(client, url, 0, b"01234").status_code == 204
    assert visible(home) == ["x"]


def form_files(*names: str) -> dict[str, Any]:
    return {"files": [SimpleUploadedFile(name, name.encode() * 1000) for name in names]}


def test_a_plain_form_uploads_several_files(signed_in: Sign, people: Any, at: At) -> None:
    home, client = at(people.vera), signed_in(people.vera)
    for _ in range(2):
        assert client.post("/files/home/form/", form_files("a.txt", "b.txt")).status_code == 302
    assert visible(home) == ["a (2).txt", "a.txt", "b (2).txt", "b.txt"]
    assert (home / "a.txt").read_bytes() == b"a.txt" * 1000
    assert not Upload.objects.exists()
    assert names(home / ".berth/uploads") == []


def test_a_form_without_files_says_so(signed_in: Sign, people: Any, at: At) -> None:
    at(people.vera)
    answer = signed_in(people.vera).post("/files/home/form/", {})
    assert answer.status_code == 422
    assert "Choose at least one file." in answer.content.decode()


def test_a_form_from_another_site_leaves_nothing(people: Any, at: At) -> None:
    home, client = at(people.vera), Client(enforce_csrf_checks=True)
    client.force_login(people.vera, backend="django.contrib.auth.backends.ModelBackend")
    client.get("/files/home/")
    wrong = form_files("a.txt") | {"csrfmiddlewaretoken": "x" * 64}
    assert client.post("/files/home/form/", wrong).status_code == 403
    assert visible(home) == []
    assert not Upload.objects.exists()
    assert names(home / ".berth/uploads") == []


def test_a_dataset_takes_uploads_from_its_keepers_alone(signed_in: Sign, people: Any, at: At, numbers: Dataset) -> None:
    folder = at(people.ada, "data-numbers")
    assert begin(signed_in(people.vera), "x", 1, key="data-numbers").status_code == 403
    client = signed_in(people.ada)
    assert patch(client, begin(client, "x", 1, key="data-numbers")["Location"], 0, b"1").status_code == 204
    assert visible(folder) == ["x"]


@pytest.mark.parametrize("what", [".berth", ".berth/uploads"])
def test_a_link_in_place_of_the_staging_folder_leads_nowhere(
    signed_in: Sign, people: Any, at: At, tmp_path: Path, what: str
) -> None:
    home, client = at(people.vera), signed_in(people.vera)
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o777)
    outside.chmod(0o777)
    (home / what).parent.mkdir(exist_ok=True)
    (home / what).symlink_to(outside)
    assert begin(client, "x", 5).status_code in (403, 404)
    assert names(outside) == []
