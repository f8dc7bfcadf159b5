"""Whose files a workspace gets: home, teams of its owner, chosen datasets, by the rights at each start."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import IntegrityError, transaction

from environments import actions, catalog, volumes
from environments.catalog_files import CatalogError, read
from environments.models import Dataset, Image, Volume, Workspace
from portal.accounts.actions import add_member, create_team
from portal.accounts.models import Membership, Role, Team
from portal.compute.models import Allocation
from portal.lib.errors import Invalid

pytestmark = pytest.mark.django_db
Make = Callable[..., Workspace]


@pytest.fixture
def numbers(db: None) -> Dataset:
    return Dataset.objects.create(name="numbers", summary="Many numbers", teams=["vision"])


def targets(workspace: Workspace) -> dict[str, bool]:
    """Where, and whether read-only."""
    spec = Allocation.objects.filter(owner_id=workspace.pk).latest("created_at").spec
    return {mount["target"]: mount["read_only"] for mount in spec["mounts"]}


def test_a_workspace_has_home_teams_and_chosen_datasets(make_workspace: Make, people: Any, numbers: Dataset) -> None:
    add_member(create_team("robots", "Robots", actor="test"), people.vera, Role.MEMBER, actor="test")
    home = {"/home/berth": False, "/home/robots": False, "/home/vision": False}
    assert targets(make_workspace()) == home
    assert targets(make_workspace(volumes=["numbers", "numbers"])) == home | {"/data/numbers": True}


def test_members_of_one_team_share_one_volume(make_workspace: Make, people: Any) -> None:
    make_workspace(), make_workspace(people.luis), make_workspace(people.oda, team="risk")
    assert Volume.objects.filter(kind="team").count() == 2
    assert Volume.objects.filter(kind="home").count() == 3


@pytest.mark.parametrize("name", ["numbers", "retired", "nothing", "../etc"])
def test_a_dataset_of_others_cannot_be_asked_for(
    make_workspace: Make, people: Any, numbers: Dataset, name: str
) -> None:
    Dataset.objects.create(name="retired", summary="s", teams=["*"], retired=True)
    with pytest.raises(Invalid) as refused:
        make_workspace(people.oda, team="risk", volumes=[name])
    assert set(refused.value.fields) == {"volumes"}
    assert not Workspace.objects.exists()


def test_a_dataset_for_nobody_is_for_nobody(make_workspace: Make, numbers: Dataset) -> None:
    Dataset.objects.update(teams=[])
    with pytest.raises(Invalid):
        make_workspace(volumes=["numbers"])


def test_who_left_starts_and_restarts_without_the_teams_files(
    make_workspace: Make, settle: Callable[..., None], people: Any, numbers: Dataset
) -> None:
    add_member(create_team("robots", "Robots", actor="test"), people.vera, Role.MEMBER, actor="test")
    stopped, running = (make_workspace(team="robots", volumes=["numbers"]) for _ in range(2))
    settle()
    actions.stop(stopped, actor="vera")
    settle()
    Membership.objects.filter(user=people.vera, team__slug="vision").delete()
    actions.start(stopped, actor="vera")
    actions.restart(running, actor="vera")
    for workspace in (stopped, running):
        assert set(targets(workspace)) == {"/home/berth", "/home/robots"}


def test_the_database_keeps_one_of_each(people: Any, numbers: Dataset) -> None:
    team = Team.objects.get(slug="vision")
    for kind, whose in (("home", {"owner": people.vera}), ("team", {"team": team}), ("dataset", {"dataset": numbers})):
        Volume.objects.create(kind=kind, engine_name=f"one-{kind}", **whose)
        for wrong in (whose, {}, {"owner": people.vera, "team": team}):
            with pytest.raises(IntegrityError), transaction.atomic():
                Volume.objects.create(kind=kind, engine_name=f"two-{kind}", **wrong)


def test_a_volume_is_made_on_the_engine_once(make_workspace: Make, fake_engine: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(volumes, "runtime", lambda: fake_engine.driver)
    make_workspace()
    for volume in Volume.objects.all():
        volumes.make(volume.pk)
    assert fake_engine.volumes == set(Volume.objects.values_list("engine_name", flat=True))
    assert not Volume.objects.filter(made_at=None).exists()


def test_an_engine_that_refuses_is_asked_again(make_workspace: Make, fake_engine: Any, monkeypatch: Any) -> None:
    from runtimes.fake_engine import Fault

    monkeypatch.setattr(volumes, "runtime", lambda: fake_engine.driver)
    make_workspace()
    volume = Volume.objects.get(kind="home")
    fake_engine.inject(Fault.HANG, "make_volume")
    volumes.make(volume.pk)
    volume.refresh_from_db()
    assert volume.made_at is None
    volumes.make(volume.pk)
    volume.refresh_from_db()
    assert volume.made_at is not None


def test_no_image_is_no_error(make_workspace: Make, fake_engine: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(volumes, "runtime", lambda: fake_engine.driver)
    make_workspace()
    Image.objects.update(state="queued", digest="")
    volumes.make(Volume.objects.get(kind="home").pk)


def write(folder: Path, text: str) -> Path:
    import shutil

    shutil.copytree(settings.BASE_DIR / "catalog", folder)
    (folder / "datasets.yaml").write_text(text)
    return folder


def test_datasets_come_from_the_catalog_and_their_files_outlive_it(tmp_path: Path) -> None:
    text = "datasets: [{name: rides, summary: Taxi rides, teams: [vision], kept_by: risk}]"
    folder = write(tmp_path / "catalog", text)
    changes = catalog.apply(read(folder), actor="test")
    assert "+ dataset rides" in map(str, changes)
    assert catalog.diff(read(folder)) == []
    (folder / "datasets.yaml").write_text(text.replace("Taxi", "Bus"))
    assert [str(change) for change in catalog.diff(read(folder))] == ["~ dataset rides: summary"]
    (folder / "datasets.yaml").unlink()
    assert [str(change) for change in catalog.apply(read(folder), actor="test")] == ["- dataset rides"]
    assert Dataset.objects.get(name="rides").retired


@pytest.mark.parametrize(
    "text",
    [
        "datasets: [{name: ../x, summary: s, teams: []}]",
        "datasets: [{name: models, summary: s, teams: []}]",
        "datasets: [{name: x, summary: s}]",
        "datasets: {",
        "x: 1",
    ],
)
def test_a_broken_list_of_datasets_names_its_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(CatalogError) as refused:
        read(write(tmp_path / "catalog", text))
    assert refused.value.problems[0].startswith("datasets.yaml:1:")


def test_a_team_cannot_take_the_place_of_homes(people: Any) -> None:
    with pytest.raises(Invalid):
        create_team("berth", "Berth", actor="test")
