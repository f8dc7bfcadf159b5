"""What every template keeps to: htmx 4 spellings, nothing inline that a strict content policy forbids."""

import re
from pathlib import Path

import pytest
from django.template.loader import get_template

FOLDER = Path(__file__).resolve().parents[2] / "templates"
NAMES = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.html"))
OLD_SPELLINGS = re.compile(
    r"\bhx-(?:ext|vars|params|prompt|disinherit|inherit|request|history|disabled-elt|ws)\s*="
    r"|(?<!hx-)\bsse-(?:connect|swap|close)\s*=|(?<!hx-)\bws-(?:connect|send)\s*="
    r"|htmx:[a-z]+[A-Z]|\bsse:"
)
PARTIALS = [f"workspaces/detail.html#{name}" for name in ("header", "stage", "metrics", "details")]


def source(name: str) -> str:
    return (FOLDER / name).read_text()


@pytest.mark.parametrize("name", [*NAMES, *PARTIALS, "images/list.html#row"])
def test_compiles(name: str) -> None:
    assert get_template(name)


@pytest.mark.parametrize("name", NAMES)
def test_has_no_spelling_of_an_older_htmx(name: str) -> None:
    assert not OLD_SPELLINGS.findall(source(name))


@pytest.mark.parametrize("old", ['hx-ext="sse"', 'sse-connect="/x"', 'sse-swap="a"', 'hx-vars="a"', "htmx:afterSwap"])
def test_old_spellings_would_be_found(old: str) -> None:
    assert OLD_SPELLINGS.search(f"<div {old}>")


@pytest.mark.parametrize("name", NAMES)
def test_has_nothing_inline(name: str) -> None:
    text = source(name)
    assert not re.search(r"\son[a-z]+\s*=", text), "event handler"
    assert not re.search(r"\sstyle\s*=|<style\b", text), "style"
    assert not re.search(r"\bhx-on\b|\bjs:", text), "script in an attribute"
    assert all("src=" in tag for tag in re.findall(r"<script\b[^>]*>", text)), "inline script"


@pytest.mark.parametrize("name", NAMES)
def test_loads_nothing_from_another_host(name: str) -> None:
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", source(name))


@pytest.mark.parametrize("name", NAMES)
def test_every_post_form_carries_the_csrf_token_and_no_other_does(name: str) -> None:
    for form in re.findall(r"<form\b.*?</form>", source(name), re.DOTALL):
        [method] = re.findall(r'<form\b[^>]*method="(post|get)"', form)
        carries = "{% csrf_token %}" in form or 'name="csrfmiddlewaretoken"' in form
        assert carries == (method == "post")


@pytest.mark.parametrize("name", NAMES)
def test_a_page_has_one_main_heading(name: str) -> None:
    text = source(name)
    if '{% extends "base.html" %}' in text:
        assert text.count("<h1") == 1
