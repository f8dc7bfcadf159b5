"""Launch links: they fill in the page as far as the template allows, and never launch anything."""

from collections.abc import Callable
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.http import QueryDict
from django.test import Client

from environments import configurations, links
from environments.launch import Launch
from environments.models import Template, TemplateVersion, Workspace
from environments.schema import completed
from tests.conftest import People

pytestmark = pytest.mark.django_db
SignIn = Callable[[Any], Client]
LINK = "/launch/jupyter-python/"
GIT = "https://git.example.org/vision/churn.git"
SCHEMA = completed(
    {
        "properties": {
            "rounds": {"type": "integer", "minimum": 1, "default": 10, "title": "Rounds"},
            "exact": {"type": "boolean", "default": True},
            "theme": {"enum": ["light", "dark"], "default": "light"},
        }
    }
)


@pytest.fixture
def template(catalog: None) -> Template:
    TemplateVersion.objects.update(parameters=SCHEMA)
    return Template.objects.get(slug="jupyter-python")


def test_a_link_asks_to_sign_in_and_comes_back(client: Client, people: People, template: Template) -> None:
    path = f"{LINK}?{urlencode({'size': 'medium', 'git': GIT})}"
    answer = client.get(path, follow=True)
    answer = client.post(
        answer.redirect_chain[0][0], {"username": "vera", "password": "correct-horse-battery", "next": path}
    )
    assert answer["Location"] == path
    assert "From a link" in client.get(path).content.decode()


def test_what_the_link_set_is_shown_and_filled_in_and_nothing_runs(
    signed_in: SignIn, people: People, template: Template
) -> None:
    query = {"size": "medium", "git": GIT, "ref": "main", "param.rounds": "7", "param.exact": "false"}
    path = f"{LINK}?{urlencode(query)}"
    client = signed_in(people.vera)
    page = client.get(path).content.decode()
    assert page.count("Set by the link.") == 4
    assert all(f"<dd>{one}</dd>" in page for one in ("medium", GIT, "main", "7", "no"))
    assert "does not know who wrote the code" in page
    assert f'value="{GIT}"' in page
    assert 'name="parameters.rounds" value="7"' in page
    assert 'value="medium" required checked' in " ".join(page.split())
    assert f'action="{path}"' in unescape(page)
    assert "Left out" not in page
    assert not Workspace.objects.exists()


def test_the_click_launches_and_an_error_keeps_the_warning(
    signed_in: SignIn, people: People, template: Template
) -> None:
    client = signed_in(people.vera)
    path = f"{LINK}?{urlencode({'git': GIT})}"
    refused = client.post(path, {"size": "small", "git.url": GIT, "git.ref": "-x"})
    assert refused.status_code == 422
    assert "does not know who wrote the code" in refused.content.decode()
    assert client.post(path, {"size": "small", "git.url": GIT}).status_code == 302
    assert Workspace.objects.get().git_url == GIT


def test_the_click_needs_its_token(people: People, template: Template) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(people.vera, backend="django.contrib.auth.backends.ModelBackend")
    assert client.post(LINK, {"size": "small"}).status_code == 403
    assert not Workspace.objects.exists()


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"env": "A=1"}, "A link cannot set “env”"),
        ({"secrets": "x"}, "A link cannot set “secrets”"),
        ({"team": "vision"}, "A link cannot set “team”"),
        ({"do": "save"}, "A link cannot set “do”"),
        ({"name": "x"}, "JupyterLab does not let a link set “name”"),
        ({"version": "2026.11"}, "JupyterLab does not let a link set “version”"),
        ({"size": "vast"}, "cannot run as “vast”"),
        ({"git": "file:///etc"}, "not the address of a repository"),
        ({"git": "https://me:word@git.example.org/x"}, "keep them as a secret"),
        ({"ref": "main"}, "Name the repository too"),
        ({"git": GIT, "ref": "-x"}, "no branch, tag or commit"),
        ({"param.rounds": "0"}, "Rounds: Must be at least 1."),
        ({"param.rounds": "9" * 3000}, ""),
        ({"param.rounds": "many"}, "Rounds: Must be a whole number."),
        ({"param.theme": "pink"}, "Choose one of: light, dark."),
        ({"param.other": "1"}, "There is no setting “other”"),
        ({"param.": "1"}, "There is no setting “”"),
        ({"size": ["small", "medium"]}, "more than once"),
        ({"\0": "1"}, "A link cannot set"),
        ({"size": "\0"}, "is no text"),
        ({"git": "x" * 10_000}, "at most 500 characters"),
    ],
)
def test_what_is_not_allowed_is_left_out_with_a_sentence(
    people: People, template: Template, query: dict[str, Any], sentence: str
) -> None:
    found = links.read(people.vera, template, QueryDict(urlencode(query, doseq=True)))
    if sentence:
        assert [one for one in found.refused if sentence in one] == found.refused != []
    assert len(found.taken) == len(query) - len(found.refused)
    assert (found.launch.env, found.launch.team, found.launch.name) == ({}, None, "")


def test_a_page_of_a_bad_link_opens_all_the_same(signed_in: SignIn, people: People, template: Template) -> None:
    query = {"env": "A=1", "size": "vast", "param.rounds": "<script>alert(1)</script>", "<b>": "x"}
    answer = signed_in(people.vera).get(f"{LINK}?{urlencode(query)}")
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "Left out" in page
    assert "<script>alert" not in page
    assert "<b>”" not in page


@pytest.mark.parametrize(
    ("allowed", "taken"),
    [
        ([], []),
        (["size"], ["Size"]),
        (["parameters.rounds"], ["Rounds"]),
        (["parameters"], ["Rounds", "Theme"]),
        (["version", "name"], ["Version", "Name"]),
    ],
)
def test_the_template_says_what_a_link_may_set(
    people: People, template: Template, allowed: list[str], taken: list[str]
) -> None:
    template.link = allowed
    query = {"size": "medium", "param.rounds": "7", "param.theme": "dark", "version": "2026.11", "name": "x"}
    found = links.read(people.vera, template, QueryDict(urlencode(query)))
    assert [one.label for one in found.taken] == taken


def test_a_persons_own_default_has_no_part_in_a_link(signed_in: SignIn, people: People, template: Template) -> None:
    own = Launch(template="jupyter-python", size="large", env={"TOKEN_NAME": "mine"})
    configurations.prefer(people.vera, own, actor="vera")
    client = signed_in(people.vera)
    assert "TOKEN_NAME" in client.get("/workspaces/new/jupyter-python/").content.decode()
    assert "TOKEN_NAME" not in client.get(f"{LINK}?size=small").content.decode()


def test_a_link_says_the_same_when_it_is_read_again(people: People, template: Template) -> None:
    asked = Launch(
        template="jupyter-python",
        size="medium",
        parameters={"rounds": 7, "exact": False, "theme": "light"},
        git_url=GIT,
        git_ref="main",
        env={"A": "1"},
        team="vision",
        name="mine",
    )
    address = links.address(template, asked)
    assert address.startswith(f"{settings.PORTAL_URL}{LINK}?size=medium&git=https%3A%2F%2F")
    for left_out in ("A", "vision", "mine", "theme"):
        assert f"={left_out}" not in address
        assert f"{left_out}=" not in address
    found = links.read(people.vera, template, QueryDict(address.partition("?")[2]))
    assert found.refused == []
    assert found.launch == Launch(
        template="jupyter-python",
        size="medium",
        parameters={"rounds": 7, "exact": False},
        git_url=GIT,
        git_ref="main",
    )


def test_settings_too_long_for_a_link_have_none(template: Template) -> None:
    asked = Launch(template="jupyter-python", parameters={"theme": "x" * 5000})
    assert links.address(template, asked) == ""


def test_the_pages_offer_the_link_and_the_badge(
    signed_in: SignIn, people: People, make_workspace: Callable[..., Any], template: Template
) -> None:
    pk = make_workspace(size="medium", git_url=GIT).pk
    client = signed_in(people.vera)
    for path in (f"/workspaces/{pk}/", "/workspaces/new/jupyter-python/?workspace=" + pk):
        page = unescape(client.get(path).content.decode())
        assert f"{LINK}?size=medium&git=" in page
        assert f"[![Launch in Berth]({settings.PORTAL_URL}/launch/badge.svg)](" in page


def test_the_badge_is_for_everybody_and_inert(client: Client) -> None:
    answer = client.get("/launch/badge.svg")
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/svg+xml")
    assert "sandbox" in answer["Content-Security-Policy"]
    assert "public" in answer["Cache-Control"]
    assert b"<script" not in answer.content
    assert client.post("/launch/badge.svg").status_code == 405


def test_only_the_owner_is_offered_the_link_of_a_workspace_while_the_template_is_there(
    signed_in: SignIn, people: People, make_workspace: Callable[..., Any], template: Template
) -> None:
    path = f"/workspaces/{make_workspace().pk}/"
    assert "badge.svg" in signed_in(people.vera).get(path).content.decode()
    assert "badge.svg" not in signed_in(people.luis).get(path).content.decode()
    Template.objects.update(retired=True)
    assert "badge.svg" not in signed_in(people.vera).get(path).content.decode()
