"""The catalog as code: diff, apply, and errors that name file and line."""

import shutil
from pathlib import Path

import pytest
from django.conf import settings

from environments import catalog
from environments.catalog_files import CatalogError, read
from environments.models import Template, TemplateVersion
from portal.compute.models import Size
from portal.usage.models import Price

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(settings.BASE_DIR / "catalog", tmp_path / "catalog"))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_applying_twice_changes_nothing(folder: Path) -> None:
    assert catalog.apply(read(folder), actor="test")
    assert catalog.diff(read(folder)) == []
    assert catalog.apply(read(folder), actor="test") == []


def test_the_diff_names_what_changes(folder: Path) -> None:
    catalog.apply(read(folder), actor="test")
    edit(folder / "sizes.yaml", "cpu: 1,", "cpu: 1.5,")
    edit(folder / "prices.yaml", '"0.02"', '"0.03"')
    edit(folder / "templates/jupyter-python.yaml", "name: JupyterLab", "name: Notebooks")
    assert [str(change) for change in catalog.diff(read(folder))] == [
        "~ size small",
        "~ price cpu: 0.03 EUR per hour",
        "~ template jupyter-python: name",
    ]
    catalog.apply(read(folder), actor="test")
    assert Price.objects.filter(sku="cpu").count() == 2


def test_a_published_version_cannot_be_edited(folder: Path) -> None:
    catalog.apply(read(folder), actor="test")
    edit(folder / "templates/jupyter-python.yaml", "port: 8888", "port: 8889")
    edit(folder / "sizes.yaml", "cpu: 1,", "cpu: 1.5,")
    with pytest.raises(CatalogError, match="add a new version"):
        catalog.apply(read(folder), actor="test")
    assert TemplateVersion.objects.get().port == 8888
    assert Size.objects.get(slug="small").cpu == 1


def test_what_is_gone_is_retired_not_deleted(folder: Path) -> None:
    catalog.apply(read(folder), actor="test")
    (folder / "templates/jupyter-python.yaml").unlink()
    assert [str(change) for change in catalog.diff(read(folder))] == ["- template jupyter-python"]
    catalog.apply(read(folder), actor="test")
    assert Template.objects.get().retired


@pytest.mark.parametrize(
    ("name", "old", "new", "problem"),
    [
        ("sizes.yaml", "cpu: 2,", "cpu: -2,", "sizes.yaml:4: sizes.1.cpu:"),
        ("templates/jupyter-python.yaml", "port: 8888", "port: 88888", "jupyter-python.yaml:14: versions.0.port:"),
        ("templates/jupyter-python.yaml", "kind: workspace", "kind: pet", "jupyter-python.yaml:4: kind:"),
        ("templates/jupyter-python.yaml", "teams:", "teems:", "jupyter-python.yaml:1: the file:"),
        ("templates/jupyter-python.yaml", "default_size: small", "default_size: tiny", "there is no size “tiny”"),
        ("prices.yaml", '"0.02"', "0.02", "prices.yaml:4: prices.cpu:"),
        ("sizes.yaml", "sizes:", "sizes: [", "sizes.yaml:"),
    ],
)
def test_errors_name_file_and_line(folder: Path, name: str, old: str, new: str, problem: str) -> None:
    edit(folder / name, old, new)
    with pytest.raises(CatalogError) as refused:
        read(folder)
    assert problem in str(refused.value)


def test_an_image_by_tag_is_refused(folder: Path) -> None:
    edit(folder / "templates/jupyter-python.yaml", "build: jupyter-python}", "pull: 'python:latest'}")
    with pytest.raises(CatalogError, match="image"):
        read(folder)
