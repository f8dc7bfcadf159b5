"""Versions of a dataset: made by looking at its files as they lie on disk, shown to who may read it."""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from environments.dataset_models import DatasetVersion
from environments.files import measuring
from environments.models import Dataset, Volume
from tests.files.looking import look
from tests.files.test_api import Caller

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("standing_still")]
At = Callable[..., Path]
Sign = Callable[[Any], Client]


@pytest.fixture
def data(people: Any, at: At, numbers: Dataset) -> Path:
    """The folder of the dataset, with two files."""
    folder = at(people.ada, "data-numbers")
    (folder / "a.csv").write_text("1,2")
    (folder / "deep").mkdir()
    (folder / "deep/b.csv").write_text("3")
    return folder


def numbers_of() -> list[int]:
    return list(DatasetVersion.objects.order_by("number").values_list("number", flat=True))


def test_a_version_comes_with_a_change_and_only_then(data: Path) -> None:
    look(minutes=6)
    look(minutes=12)
    assert numbers_of() == [1]
    first = DatasetVersion.objects.get()
    assert (str(first), first.files, first.still_at - first.seen_at) == ("numbers:1", 2, timedelta(minutes=6))
    (data / "deep/c.csv").write_text("4")
    look(minutes=18)
    (data / "a.csv").unlink()
    look(minutes=24)
    (data / "deep").rename(data / "flat")
    look(minutes=30)
    os.utime(data / "flat/b.csv", ns=(1, 1))
    look(minutes=36)
    assert numbers_of() == [1, 2, 3, 4, 5]
    assert list(DatasetVersion.objects.order_by("number").values_list("files", flat=True)) == [2, 3, 2, 2, 2]


def test_datasets_are_looked_at_every_five_minutes_and_other_folders_less_often(
    people: Any, at: At, data: Path
) -> None:
    at(people.vera)
    look(minutes=0)
    moments = [(4, False), (6, True), (9, False), (29, True), (31, False)]
    looked = []
    for minutes, _ in moments:
        before = dict(Volume.objects.values_list("kind", "measured_at"))
        look(minutes=minutes)
        after = dict(Volume.objects.values_list("kind", "measured_at"))
        looked.append((minutes, before["dataset"] != after["dataset"]))
        assert (before["home"] != after["home"]) is (minutes == 31)
    assert looked == moments


def test_an_empty_dataset_has_no_version_and_one_that_was_emptied_has(people: Any, at: At, numbers: Dataset) -> None:
    folder = at(people.ada, "data-numbers")
    (folder / "nothing in it").mkdir()
    look(minutes=6)
    assert numbers_of() == []
    (folder / "a").write_text("a")
    look(minutes=12)
    (folder / "a").unlink()
    look(minutes=18)
    assert list(DatasetVersion.objects.order_by("number").values_list("files", flat=True)) == [1, 0]


def test_what_is_being_uploaded_is_no_change(data: Path) -> None:
    look(minutes=6)
    (data / ".berth/uploads").mkdir(parents=True)
    (data / ".berth/uploads/part").write_text("half of it")
    look(minutes=12)
    assert numbers_of() == [1]


def test_a_look_that_could_not_see_all_says_nothing(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    look(minutes=6)
    (data / "c").write_text("c")
    monkeypatch.setattr(measuring, "MOST", 2)
    look(minutes=12)
    assert numbers_of() == [1]


def test_a_folder_that_cannot_be_reached_leaves_the_version(data: Path) -> None:
    look(minutes=6)
    data.rename(data.with_name("away"))
    look(minutes=12)
    assert numbers_of() == [1]


def test_readers_see_versions_on_pages_and_by_token(signed_in: Sign, people: Any, data: Path) -> None:
    client, vera = signed_in(people.vera), Caller(people.vera)
    assert "Versions" not in client.get("/files/data-numbers/").content.decode()
    assert {one["key"]: one["version"] for one in vera.ask("GET", "").json()}["data-numbers"] is None
    look(minutes=6)
    (data / "c").write_text("c")
    look(minutes=12)
    assert "numbers:2, changed" in client.get("/files/").content.decode()
    page = " ".join(client.get("/files/data-numbers/").content.decode().split())
    assert "<b>numbers:2</b>" in page
    assert "3 files" in page
    assert "<b>numbers:1</b>" in page
    assert "numbers:1" not in client.get("/files/data-numbers/browse/deep").content.decode()
    found = {one["key"]: one["version"] for one in vera.ask("GET", "").json()}
    assert found == {"home": None, "team-vision": None, "data-numbers": "numbers:2"}
    newest, first = vera.ask("GET", "data-numbers/versions/").json()
    assert set(newest) == {"reference", "number", "fingerprint", "files", "bytes", "seen_at", "still_at"}
    assert (newest["reference"], newest["files"], first["number"]) == ("numbers:2", 3, 1)
    assert newest["fingerprint"] != first["fingerprint"]
    assert vera.ask("GET", "home/versions/").json() == []
    assert Caller(people.oda).ask("GET", "data-numbers/versions/").status_code == 404


def test_the_list_costs_as_many_queries_for_many_datasets(
    signed_in: Sign, people: Any, data: Path, django_assert_max_num_queries: Any
) -> None:
    look(minutes=6)
    client = signed_in(people.vera)
    client.get("/files/")
    with django_assert_max_num_queries(12) as few:
        client.get("/files/")
    for number in range(10):
        one = Dataset.objects.create(name=f"set-{number}", summary="s", teams=["*"])
        DatasetVersion.objects.create(dataset=one, number=1, fingerprint="f", files=1, bytes=1)
    with django_assert_max_num_queries(len(few)):
        page = client.get("/files/").content.decode()
    assert "set-9:1" in page
