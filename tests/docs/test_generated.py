"""The documentation agrees with the code: generated pages, links, and lists of what there is."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml
from django.conf import settings

from deploy.processes import read_procfile
from environments.catalog_files import ALLOWED_IMAGES, APPROVALS, GPU_CLASSES, LIMITS, PRICES, SIZES, TEMPLATE
from portal.ui.management.commands.generate_docs import pages

ROOT: Path = settings.BASE_DIR
DOCS = ROOT / "docs"
FILES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])

FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)


def text_of(path: Path) -> str:
    return FENCED.sub("", path.read_text())


def anchors(path: Path) -> set[str]:
    """As GitHub makes them: small letters, spaces to hyphens, other signs left out."""
    titles = (re.sub(r"[^\w\- ]", "", title.lower()) for title in HEADING.findall(text_of(path)))
    return {title.replace(" ", "-") for title in titles}


def relative_links(path: Path) -> list[str]:
    return [link for link in LINK.findall(text_of(path)) if not re.match(r"[a-z]+:", link)]


def unresolved(path: Path) -> Iterator[str]:
    for link in relative_links(path):
        target, _, anchor = unquote(link).partition("#")
        there = (path.parent / target).resolve() if target else path
        if not there.exists() or (anchor and anchor not in anchors(there)):
            yield link


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.name)
def test_a_generated_page_says_what_the_code_says(path: Path) -> None:
    assert path.read_text() == pages()[path], "run `manage.py generate_docs`"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    assert list(unresolved(path)) == []


def test_every_page_can_be_reached_from_the_index() -> None:
    reached, waiting = set[Path](), [DOCS / "README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        linked = ((page.parent / link.partition("#")[0]).resolve() for link in relative_links(page))
        waiting += [path for path in linked if path.suffix == ".md" and path.exists() and path not in reached]
    assert set(DOCS.rglob("*.md")) - reached == set()


def test_every_command_is_described() -> None:
    page = (DOCS / "reference" / "commands.md").read_text()
    files = [
        path for app in ("portal", "environments", "jobs") for path in (ROOT / app).rglob("management/commands/*.py")
    ]
    commands = {path.stem for path in files if path.stem != "__init__"}
    targets = re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {name for name in commands if f"manage.py {name}" not in page} == set()
    assert {name for name in targets if f"`make {name}" not in page} == set()


def test_every_process_is_described() -> None:
    page = (DOCS / "reference" / "processes.md").read_text()
    processes = {process.name for process in read_procfile((ROOT / "Procfile").read_text())}
    services = set(yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"])
    assert {name for name in processes | services if f"| `{name}` |" not in page} == set()


def fields(schema: Any) -> Iterator[str]:
    """Names of all fields in a JSON Schema, those inside other fields too."""
    if isinstance(schema, dict):
        properties = schema.get("properties", {})
        yield from (name for name in properties if isinstance(properties, dict))
        for part in schema.values():
            yield from fields(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from fields(part)


def test_every_field_of_the_catalog_is_described() -> None:
    page = (DOCS / "reference" / "catalog.md").read_text()
    schemas = (GPU_CLASSES, SIZES, PRICES, TEMPLATE, APPROVALS, LIMITS, ALLOWED_IMAGES)
    known = {name for schema in schemas for name in fields(schema)}
    assert {name for name in known if f"`{name}`" not in page} == set()
