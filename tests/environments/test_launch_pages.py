"""The launch page: fields from a schema, errors beside them, versions, and a summary that follows."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from environments.models import Image, Template, TemplateVersion, Workspace
from environments.schema import completed
from portal.compute.models import Allocation, Node
from portal.lib import clock
from tests.conftest import People

pytestmark = pytest.mark.django_db
SignIn = Callable[[Any], Client]
PAGE = "/workspaces/new/jupyter-python/"
SCHEMA = completed(
    {
        "required": ["folder"],
        "properties": {
            "theme": {"enum": ["light", "dark"], "default": "light", "title": "Theme"},
            "level": {"enum": [1, 2, 3, 4, 5], "title": "Level"},
            "rounds": {"type": "integer", "minimum": 1, "maximum": 100, "default": 10, "x-section": "Training"},
            "rate": {"type": "number", "x-section": "Training", "description": "How fast it learns."},
            "exact": {"type": "boolean", "default": True, "title": "Exact"},
            "folder": {"type": "string", "maxLength": 20},
            "notes": {"type": "string", "format": "multiline"},
        },
    }
)


@pytest.fixture
def parameters(catalog: None) -> None:
    TemplateVersion.objects.update(parameters=SCHEMA)


@pytest.fixture
def newer(catalog: None) -> None:
    """A second version, with parameters; the first has none."""
    version = TemplateVersion.objects.get(template="jupyter-python")
    version.pk, version.version, version.published_at, version.parameters = None, "2027.1", clock.now(), SCHEMA
    version.save()


def page_of(client: Client, path: str = PAGE, data: dict[str, Any] | None = None, status: int = 200) -> str:
    answer = client.get(path) if data is None else client.post(path, data)
    assert answer.status_code == status, answer.content
    return str(answer.content.decode())


def test_the_fields_come_from_the_schema(signed_in: SignIn, people: People, parameters: None) -> None:
    page = page_of(signed_in(people.vera))
    assert page.index(">Settings<") < page.index(">Theme<") < page.index(">Training<") < page.index(">Rounds<")
    assert "How fast it learns." in page
    assert "From 1 to 100." in page
    assert 'name="parameters.rounds" value="10" min="1" max="100" step="1"' in page
    assert '<option value="5">5</option>' in page


def test_what_the_fields_hold_reaches_the_container(signed_in: SignIn, people: People, parameters: None) -> None:
    TemplateVersion.objects.update(command=["{parameters.folder}", "{parameters.exact}", "{parameters.theme}"])
    sent = {
        "size": "small",
        "parameters.theme": "dark",
        "parameters.level": "3",
        "parameters.rounds": "7",
        "parameters.rate": "0.5",
        "parameters.exact": "false",
        "parameters.folder": "eda",
        "parameters.notes": "one\r\ntwo",
        "env": "A=1\r\n\r\nB=x=y",
        "git.url": "https://git.example.org/vision/churn.git",
        "git.ref": "main",
    }
    page_of(signed_in(people.vera), PAGE, sent, 302)
    workspace = Workspace.objects.get()
    assert workspace.parameters == {
        "theme": "dark", "level": 3, "rounds": 7, "rate": 0.5, "exact": False, "folder": "eda", "notes": "one\ntwo",
    }  # fmt: skip
    assert workspace.environment == {"A": "1", "B": "x=y"}
    assert (workspace.git_url, workspace.git_ref) == ("https://git.example.org/vision/churn.git", "main")
    assert workspace.allocation is not None
    assert workspace.allocation.spec["command"] == ["eda", "false", "dark"]


def test_what_was_left_empty_is_the_templates_default(signed_in: SignIn, people: People, parameters: None) -> None:
    sent = {"parameters.folder": "eda", "parameters.rate": "", "parameters.notes": "", "parameters.level": ""}
    page_of(signed_in(people.vera), PAGE, sent, 302)
    assert Workspace.objects.get().parameters == {"folder": "eda"}


def test_a_checkbox_says_when_it_is_not_checked(signed_in: SignIn, people: People, parameters: None) -> None:
    client = signed_in(people.vera)
    page_of(client, PAGE, {"parameters.folder": "a", "parameters.exact": ["false", "true"]}, 302)
    page_of(client, PAGE, {"parameters.folder": "b", "parameters.exact": ["false"]}, 302)
    values = Workspace.objects.order_by("created_at").values_list("parameters", flat=True)
    assert [one["exact"] for one in values] == [True, False]


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("parameters.folder", "", "This is needed."),
        ("parameters.folder", "x" * 10_000, "at most 20 characters"),
        ("parameters.rounds", "0", "at least 1"),
        ("parameters.rounds", "9" * 400, "at most 100"),
        ("parameters.rounds", "9" * 5000, "whole number"),
        ("parameters.rounds", "many", "whole number"),
        ("parameters.rate", "NaN", "Must be a number."),
        ("parameters.rate", "1e999", "Must be a number."),
        ("parameters.level", "6", "Choose one of: 1, 2, 3, 4, 5."),
        ("parameters.theme", "pink", "Choose one of: light, dark."),
        ("parameters.notes", "{secret}", "cannot be used here"),
        ("parameters.notes", "x" * 10_001, "10,000 characters"),
        ("git.url", "http://git.example.org/x.git", "not the address of a repository"),
        ("git.url", "https://me:word@git.example.org/x.git", "keep them as a secret"),
        ("git.ref", "main", "Name the repository too"),
        ("env", "A=1\nB", "Line 2: Write it as NAME=value."),
        ("env", "A=1\n\n1B=2", "Line 3: “1B” cannot be used"),
        ("env", "A=1\nA=2", "Line 2: A is there already."),
        ("env", "PATH=/x", "Line 1: “PATH” cannot be used"),
        ("name", "x" * 99, "1 to 60 printable characters"),
        ("size", "vast", "cannot run as “vast”"),
        ("configuration", "", ""),
    ],
)
def test_an_error_stands_beside_its_field_and_nothing_is_made(
    signed_in: SignIn, people: People, parameters: None, name: str, value: str, sentence: str
) -> None:
    button = {"do": "save"} if name == "configuration" else {}
    page = page_of(signed_in(people.vera), PAGE, {"parameters.folder": "eda"} | {name: value} | button, 422)
    beside = page if name == "size" else page[page.index(f'id="id_{name}_error"' if name != "size" else "sizes") :]
    assert sentence in beside.split("</p>")[0] if name != "size" else sentence in page
    assert not Workspace.objects.exists()
    assert not Allocation.objects.exists()


def test_versions_are_offered_newest_first_and_older_ones_marked(
    signed_in: SignIn, people: People, newer: None
) -> None:
    client = signed_in(people.vera)
    page = page_of(client)
    assert page.index("2027.1 · ") < page.index("· newest") < page.index("2026.11 · ") < page.index("· older")
    assert "Folder" in page
    assert "parameters.folder" not in page_of(client, f"{PAGE}?version=2026.11")
    page_of(client, PAGE, {"version": "2026.11"}, 302)
    assert Workspace.objects.get().version.version == "2026.11"


def test_a_version_changed_without_script_asks_for_what_it_needs(
    signed_in: SignIn, people: People, newer: None
) -> None:
    client = signed_in(people.vera)
    page = page_of(client, PAGE, {"version": "2027.1", "size": "medium"}, 422)
    assert "This is needed." in page
    assert 'value="medium" required checked' in " ".join(page.split())
    assert page_of(client, PAGE, {"version": "1900.1"}, 422).count("1900.1 is not one of") == 1


def test_the_summary_follows_the_form_without_doing_or_complaining(
    signed_in: SignIn, people: People, parameters: None
) -> None:
    sent = {"size": "large", "git.url": "git@git.example.org:vision/churn.git", "parameters.rounds": "0", "env": "?"}
    page = page_of(signed_in(people.vera), f"{PAGE}preview/", sent)
    summary = page[page.index('id="summary"') :]
    assert "€ 0.16" in summary
    assert "~/churn" in summary
    assert "size=large" in summary
    assert "field-error" not in page
    assert not Workspace.objects.exists()
    assert signed_in(people.vera).get(f"{PAGE}preview/").status_code == 405


def starts(client: Client, size: str) -> tuple[str, str]:
    """What the summary says, and what stands on the card of the size that is chosen."""
    answer = client.post(f"{PAGE}preview/", {"size": size})
    [summary] = [row.value for row in answer.context["summary"] if row.label == "Starts"]
    [card] = [one.truth for one in answer.context["sizes"] if one.checked]
    page = " ".join(answer.content.decode().split())
    assert summary in page
    return summary, card


def test_the_page_says_whether_it_starts_now_or_waits(
    signed_in: SignIn, people: People, make_workspace: Callable[..., Any], settle: Callable[[], None]
) -> None:
    client = signed_in(people.vera)
    assert starts(client, "small") == ("now, in a few seconds", "Starts now.")
    Node.objects.update(cpu=2, schedulable_cpu=2)
    assert starts(client, "large")[0] == "not in this size: no machine is large enough"
    make_workspace(size="medium")
    settle()
    assert starts(client, "small") == ("when there is room", "Waits for room, first in line.")
    make_workspace(size="small")
    assert starts(client, "small") == ("when there is room", "Waits for room; 1 in line before it.")
    Image.objects.update(state="building")
    assert starts(client, "small")[0] == "when its image is built"


def test_a_stranger_to_the_template_finds_no_page(signed_in: SignIn, people: People, catalog: None) -> None:
    Template.objects.update(teams=["vision"])
    client = signed_in(people.oda)
    for path in (PAGE, "/launch/jupyter-python/"):
        assert client.get(path).status_code == 404
        assert client.post(path, {"size": "small"}).status_code == 404
    assert client.post(f"{PAGE}preview/").status_code == 404
    assert client.post("/workspaces/relaunch/", {"template": "jupyter-python"}).status_code == 404
    assert not Workspace.objects.exists()


def test_nothing_a_person_typed_is_markup(signed_in: SignIn, people: People, parameters: None) -> None:
    evil = '"><script>alert(1)</script>'
    sent = {"parameters.folder": evil, "git.url": evil, "env": evil, "name": evil, "size": evil, "version": evil}
    page = page_of(signed_in(people.vera), PAGE, sent, 422)
    assert "<script>alert" not in page
    assert "<script>alert" not in page_of(signed_in(people.vera), f"{PAGE}preview/", sent)


def test_a_template_of_jobs_is_no_workspace(people: People, catalog: None, signed_in: SignIn) -> None:
    client = signed_in(people.vera)
    assert client.get("/workspaces/new/python/").status_code == 404
    assert client.post("/workspaces/relaunch/", {"template": "python"}).status_code == 404
    assert "/workspaces/new/python/" not in client.get("/workspaces/new/").content.decode()
