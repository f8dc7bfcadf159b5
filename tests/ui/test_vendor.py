"""Vendored files are the ones the manifest names, and nothing is fetched from elsewhere."""

import hashlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "static"
VENDOR = STATIC / "vendor"
MANIFEST = [
    line.split("\t") for line in (VENDOR / "MANIFEST").read_text().splitlines() if line and not line.startswith("#")
]
CHOSEN_BY_VIEWS = {"home", "users", "database"}  # FileRow.icon


@pytest.mark.parametrize("row", MANIFEST, ids=lambda row: row[0])
def test_file_is_the_one_in_the_manifest(row: list[str]) -> None:
    name, package, version, licence, digest, origin = row
    assert all([package, version, licence, origin])
    assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest


def test_every_vendored_file_is_in_the_manifest() -> None:
    files = {path.name for path in VENDOR.iterdir() if path.is_file()} - {"MANIFEST"}
    assert files == {row[0] for row in MANIFEST}


def test_sprite_holds_the_icons_that_are_used_and_no_others() -> None:
    used = set(re.findall(r'\{% (?:icon|nav_link "[a-z-]+") "([a-z0-9-]+)"', _templates()))
    sprite = set(re.findall(r'<symbol id="([^"]+)"', (VENDOR / "icons.svg").read_text()))
    assert used | CHOSEN_BY_VIEWS == sprite


def test_own_style_stays_small() -> None:
    assert len((STATIC / "css" / "berth.css").read_text().splitlines()) <= 500


@pytest.mark.parametrize("path", sorted([*STATIC.glob("css/*"), *STATIC.glob("js/*")]), ids=lambda path: path.name)
def test_own_files_name_no_other_host(path: Path) -> None:
    assert not re.search(r"(?:https?:)?//[a-z0-9-]+\.[a-z]", path.read_text())


def _templates() -> str:
    return "\n".join(path.read_text() for path in (ROOT / "templates").rglob("*.html"))
