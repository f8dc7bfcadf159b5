"""The catalog's pages: administrators edit what the files say, see the difference first, and meet the same refusals."""

import html
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from environments import catalog, catalog_editing
from environments.catalog_files import read_text
from environments.catalog_published import published
from environments.models import Dataset, Template, TemplateVersion
from portal.audit.models import AuditEvent
from portal.compute.models import Size
from tests.conftest import People

pytestmark = pytest.mark.django_db
LAB = "/catalog/templates/jupyter-python/"
FILES = {
    "/catalog/sizes/": catalog_editing.SIZES,
    "/catalog/prices/": catalog_editing.PRICES,
    "/catalog/datasets/": catalog_editing.DATASETS,
    "/catalog/limits/": catalog_editing.LIMITS,
    "/catalog/approvals/": catalog_editing.APPROVALS,
    "/catalog/images/": catalog_editing.IMAGES,
}
PATHS = ["/catalog/", "/catalog/export/", "/catalog/new/", *FILES, LAB, f"{LAB}edit/"]


@pytest.fixture
def ada(client: Client, people: People, catalog: None) -> Client:
    client.force_login(people.ada, backend="django.contrib.auth.backends.ModelBackend")
    return client


def body(answer: Any) -> str:
    return html.unescape(answer.content.decode())


def text_of(path: str) -> str:
    return catalog_editing.text_of(FILES.get(path, "templates/jupyter-python.yaml"))


def agreed(answer: Any) -> str:
    return str(answer.context["form"]["agreed"].value())


def with_version(name: str, **edits: str) -> str:
    text = text_of(f"{LAB}edit/")
    newest = text[text.index("  - version:") :].replace("2026.11", name)
    for old, new in edits.items():
        newest = newest.replace(old, new)
    return text + newest


@pytest.mark.parametrize("path", [*PATHS, f"{LAB}retire/"])
def test_only_administrators_see_them(client: Client, people: People, catalog: None, path: str) -> None:
    assert client.get(path).status_code == 302
    for user, status in {people.vera: 403, people.luis: 403, people.ada: 200}.items():
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        assert client.get(path).status_code == status
    assert 'href="/catalog/"' in client.get("/").content.decode()


def test_the_overview_shows_what_is_offered_and_retired(ada: Client, make_workspace: Callable[..., Any]) -> None:
    make_workspace()
    page = " ".join(body(ada.get("/catalog/")).split())
    for text in ("JupyterLab", "jupyter-python · version 2026.11", "for every team", "1 workspace<", "1 cpu · 2 GB"):
        assert text in page
    assert "differ from what is published" not in page
    Template.objects.update(retired=True, teams=[])
    page = body(ada.get("/catalog/"))
    assert "Retired" in page
    assert "The files differ from what is published" in page
    assert "+ template jupyter-python" in page


def test_an_edit_is_shown_first_and_then_applied(ada: Client) -> None:
    text = text_of(f"{LAB}edit/").replace("name: JupyterLab", "name: Notebooks")
    shown = ada.post(f"{LAB}edit/", {"text": text})
    assert "~ template jupyter-python: name" in body(shown)
    assert "+    name: Notebooks" in body(shown)
    assert Template.objects.get(slug="jupyter-python").name == "JupyterLab"
    done = ada.post(f"{LAB}edit/", {"text": text, "agreed": agreed(shown), "apply": "yes"}, follow=True)
    assert "Published: ~ template jupyter-python: name." in body(done)
    assert Template.objects.get(slug="jupyter-python").name == "Notebooks"
    event = AuditEvent.objects.filter(verb="catalog.apply").latest("id")
    assert (event.actor, event.after["changes"]) == ("ada", ["~ template jupyter-python: name"])


def test_nothing_is_applied_that_was_not_shown(ada: Client) -> None:
    text = text_of(f"{LAB}edit/").replace("name: JupyterLab", "name: Notebooks")
    shown = ada.post(f"{LAB}edit/", {"text": text.replace("Notebooks", "Lab")})
    for stale in ("", agreed(shown)):
        answer = ada.post(f"{LAB}edit/", {"text": text, "agreed": stale, "apply": "yes"})
        assert answer.status_code == 422
        assert "Look at the difference again" in body(answer)
    assert Template.objects.get(slug="jupyter-python").name == "JupyterLab"


@pytest.mark.parametrize(
    ("path", "old", "mine", "theirs"),
    [
        (f"{LAB}edit/", "name: JupyterLab", "name: Mine", "name: Theirs"),
        ("/catalog/sizes/", "cpu: 1\n    memory_gib: 2", "cpu: 2\n    memory_gib: 2", "cpu: 1\n    memory_gib: 3"),
        ("/catalog/datasets/", "summary: Small", "summary: Mine", "summary: Theirs"),
    ],
)
def test_of_two_who_edit_the_same_the_second_is_told_and_undoes_nothing(
    ada: Client, path: str, old: str, mine: str, theirs: str
) -> None:
    text = text_of(path)
    assert old in text
    shown, others = (ada.post(path, {"text": text.replace(old, new)}) for new in (mine, theirs))
    ada.post(path, {"text": text.replace(old, theirs), "agreed": agreed(others), "apply": "yes"})
    answer = ada.post(path, {"text": text.replace(old, mine), "agreed": agreed(shown), "apply": "yes"})
    assert answer.status_code == 422
    assert "The catalog was changed by somebody else meanwhile. Look at the difference again." in body(answer)
    assert text_of(path) == text.replace(old, theirs)
    undone = [line for line in answer.context["preview"].lines if line.startswith("-")]
    assert any(theirs.splitlines()[-1].strip() in line for line in undone)
    ada.post(path, {"text": text.replace(old, mine), "agreed": agreed(answer), "apply": "yes"})
    assert text_of(path) == text.replace(old, mine)


def test_what_somebody_else_changed_elsewhere_is_kept(ada: Client) -> None:
    text = text_of(f"{LAB}edit/").replace("name: JupyterLab", "name: Notebooks")
    shown = ada.post(f"{LAB}edit/", {"text": text})
    sizes = text_of("/catalog/sizes/").replace("cpu: 1\n", "cpu: 1.5\n")
    others = ada.post("/catalog/sizes/", {"text": sizes})
    ada.post("/catalog/sizes/", {"text": sizes, "agreed": agreed(others), "apply": "yes"})
    ada.post(f"{LAB}edit/", {"text": text, "agreed": agreed(shown), "apply": "yes"})
    assert Template.objects.get(slug="jupyter-python").name == "Notebooks"
    assert Size.objects.get(slug="small").cpu == 1.5


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("kind: workspace", "kind: pet", "jupyter-python.yaml:4: kind:"),
        ("default_size: small", "default_size: tiny", "default_size: “tiny”: there is no size of that name"),
        ("port: 8888", "port: 8889", "was published already and cannot change; add a new version"),
        ("slug: jupyter-python", "slug: other", "must be called other.yaml"),
        ("name: JupyterLab", "name: [", "cannot be read"),
        ("name: JupyterLab", "name: " + "x" * 10_000, "jupyter-python.yaml:2: name:"),
        ("name: JupyterLab", "name: a\0b", "Null characters are not allowed"),
    ],
)
def test_a_mistake_is_told_beside_the_text_with_its_line(ada: Client, old: str, new: str, said: str) -> None:
    text = text_of(f"{LAB}edit/")
    assert old in text
    answer = ada.post(f"{LAB}edit/", {"text": text.replace(old, new)})
    assert answer.status_code == 422
    assert said in body(answer)
    assert AuditEvent.objects.filter(verb="catalog.apply").count() == 1


def test_a_version_is_added(ada: Client, make_workspace: Callable[..., Any]) -> None:
    old = make_workspace()
    text = with_version("2027.1")
    shown = ada.post(f"{LAB}edit/", {"text": text})
    ada.post(f"{LAB}edit/", {"text": text, "agreed": agreed(shown), "apply": "yes"})
    assert make_workspace().version.version == "2027.1"
    old.refresh_from_db()
    assert old.version.version == "2026.11"
    assert "2027.1" in body(ada.get(LAB))


def test_a_tag_waits_until_it_is_resolved(ada: Client) -> None:
    text = with_version("2027.1", **{"name: jupyter-python": "name: py", "build: jupyter-python": "pull: python:3.12"})
    shown = ada.post(f"{LAB}edit/", {"text": text})
    ada.post(f"{LAB}edit/", {"text": text, "agreed": agreed(shown), "apply": "yes"})
    assert "Resolving python:3.12 to a digest" in body(ada.get(LAB))


def test_a_template_is_made_and_a_taken_name_is_not(ada: Client) -> None:
    text = catalog_editing.SKELETON
    shown = ada.post("/catalog/new/", {"text": text})
    assert "+ template my-notebooks" in body(shown)
    ada.post("/catalog/new/", {"text": text, "agreed": agreed(shown), "apply": "yes"})
    assert Template.objects.get(slug="my-notebooks").name == "My notebooks"
    answer = ada.post("/catalog/new/", {"text": text})
    assert (answer.status_code, "there is a template of that name" in body(answer)) == (422, True)


@pytest.mark.parametrize("text", ["", "[", "3", "- 1", "slug: 3", "slug: ../../etc", "{}"])
def test_a_new_template_of_nonsense_is_refused(ada: Client, text: str) -> None:
    assert ada.post("/catalog/new/", {"text": text}).status_code == 422


def test_sizes_and_prices_are_edited_too(ada: Client) -> None:
    for path, old, new in (("/catalog/sizes/", "cpu: 1\n", "cpu: 1.5\n"), ("/catalog/prices/", "'0.02'", "'0.03'")):
        text = text_of(path)
        assert old in text
        text = text.replace(old, new)
        shown = ada.post(path, {"text": text})
        assert ada.post(path, {"text": text, "agreed": agreed(shown), "apply": "yes"}).status_code == 302
    assert Size.objects.get(slug="small").cpu == 1.5
    answer = ada.post("/catalog/sizes/", {"text": text_of("/catalog/sizes/").replace("slug: medium", "slug: middle")})
    assert "there is no size “medium” in sizes.yaml" in body(answer)


def test_datasets_are_added_and_taken_out(ada: Client) -> None:
    path, files = "/catalog/datasets/", text_of("/catalog/datasets/")
    texts = {
        files
        + "  - name: birds\n    summary: Ten thousand birds\n    teams: []\n    kept_by: vision\n": "+ dataset birds",
        "datasets: []\n": "- dataset examples",
    }
    for text, line in texts.items():
        shown = ada.post(path, {"text": text})
        assert line in body(shown)
        done = ada.post(path, {"text": text, "agreed": agreed(shown), "apply": "yes"}, follow=True)
        assert ("Ten thousand birds · for nobody, kept by vision" in body(done)) == (line == "+ dataset birds")
    assert not Dataset.objects.filter(retired=False).exists()
    wrong = ada.post(path, {"text": files.replace("name: examples", "name: A b")})
    assert "datasets.yaml:2: datasets.0.name:" in body(wrong)


def test_a_template_is_retired_and_offered_again(ada: Client, make_workspace: Callable[..., Any]) -> None:
    make_workspace()
    assert ada.get(f"{LAB}retire/").status_code == 200
    assert not Template.objects.get(slug="jupyter-python").retired
    ada.post(f"{LAB}retire/")
    assert Template.objects.get(slug="jupyter-python").retired
    assert ada.post(f"{LAB}retire/").status_code == 404
    page = body(ada.get(LAB))
    assert "Offer again" in page
    text = text_of(f"{LAB}edit/")
    shown = ada.post(f"{LAB}edit/", {"text": text})
    ada.post(f"{LAB}edit/", {"text": text, "agreed": agreed(shown), "apply": "yes"})
    assert not Template.objects.get(slug="jupyter-python").retired
    assert make_workspace().version.version == "2026.11"


def test_the_download_reads_back(ada: Client) -> None:
    answer = ada.get("/catalog/export/")
    assert "attachment" in answer["Content-Disposition"]
    assert catalog.diff(read_text(answer.content.decode(), "x")) == []
    assert read_text(answer.content.decode(), "x") == published()


def test_start_up_leaves_alone_what_the_pages_changed(ada: Client, tmp_path: Any) -> None:
    import io

    from django.core.management import call_command

    def start() -> str:
        said = io.StringIO()
        call_command("catalog", "apply", "--yes", "--unless-edited", stdout=said)
        return said.getvalue()

    Template.objects.update(name="Notebooks")
    assert "edited in the pages" in start()
    assert Template.objects.get(slug="jupyter-python").name == "Notebooks"
    call_command("catalog", "apply", "--yes", stdout=io.StringIO())
    Template.objects.filter(slug="jupyter-python").update(summary="Other")
    assert "Published 1 changes" in start()


def test_absent_templates_are_not_found(ada: Client) -> None:
    for path in ("/catalog/templates/nope/", "/catalog/templates/nope/edit/", "/catalog/templates/nope/retire/"):
        assert ada.get(path).status_code == 404


def test_a_constant_number_of_queries(ada: Client) -> None:
    def queries(path: str) -> int:
        with CaptureQueriesContext(connection) as seen:
            assert ada.get(path).status_code == 200
        return len(seen)

    before = [queries(path) for path in ("/catalog/", LAB)]
    lab = TemplateVersion.objects.get(template="jupyter-python")
    for n in range(10):
        made = Template.objects.get(pk="jupyter-python")
        made.pk = f"t{n}"
        made.save(force_insert=True)
        for template in (made, Template.objects.get(pk="jupyter-python")):
            lab.pk, lab.version, lab.template = None, f"v{n}", template
            lab.save(force_insert=True)
    assert [queries(path) for path in ("/catalog/", LAB)] == before
