"""The catalog as code: diff, apply, and errors that name file and line."""

import io
import shutil
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection

from environments import access, actions, catalog
from environments.catalog_files import Catalog, CatalogError, read, read_files, read_text
from environments.catalog_published import as_text, documents, published, write
from environments.catalog_yaml import dump
from environments.models import Image, Template, TemplateVersion
from environments.states import W, state_of
from portal.audit.models import AuditEvent
from portal.compute.models import Allocation, Size
from portal.lib.errors import Conflict, Invalid
from portal.quotas.models import ApprovalRule, GpuClass, ResourceLimit
from portal.usage.models import Price
from tests.conftest import People

pytestmark = pytest.mark.django_db
LAB = "templates/jupyter-python.yaml"
IMAGE = "build: jupyter-python}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(settings.BASE_DIR / "catalog", tmp_path / "catalog"))


def place(folder: Path, file: str, text: str) -> str:
    """File and line of this text."""
    lines = (folder / file).read_text().splitlines()
    return f"{file}:{next(n for n, line in enumerate(lines, 1) if text in line and not line.startswith('#'))}"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_applying_twice_changes_nothing(folder: Path) -> None:
    assert catalog.apply(read(folder), actor="test")
    assert catalog.diff(read(folder)) == []
    assert catalog.apply(read(folder), actor="test") == []


def test_templates_stand_in_the_order_of_their_positions(folder: Path) -> None:
    edit(folder / "templates/vscode.yaml", "position: 3\n", "")
    edit(folder / "templates/mlflow.yaml", "position: 13\n", "position: 1\n")
    catalog.apply(read(folder), actor="test")
    order = list(Template.objects.values_list("slug", flat=True))
    assert order[:3] == ["jupyter-python", "mlflow", "jupyter-datascience"]
    assert order[-1] == "vscode"


def test_the_diff_names_what_changes(folder: Path) -> None:
    catalog.apply(read(folder), actor="test")
    edit(folder / "sizes.yaml", "small, cpu: 1,", "small, cpu: 1.5,")
    edit(folder / "prices.yaml", '"0.02"', '"0.03"')
    edit(folder / LAB, "name: JupyterLab", "name: Notebooks")
    assert [str(change) for change in catalog.diff(read(folder))] == [
        "~ size small",
        "~ price cpu: 0.03 EUR per hour",
        "~ template jupyter-python: name",
    ]
    catalog.apply(read(folder), actor="test")
    assert Price.objects.filter(sku="cpu").count() == 2


def test_a_published_version_cannot_be_edited(folder: Path) -> None:
    catalog.apply(read(folder), actor="test")
    edit(folder / LAB, "port: 8888", "port: 8889")
    edit(folder / "sizes.yaml", "small, cpu: 1,", "small, cpu: 1.5,")
    with pytest.raises(CatalogError, match=r"^jupyter-python.yaml:13: .*add a new version"):
        catalog.apply(read(folder), actor="test")
    assert TemplateVersion.objects.get(template="jupyter-python").port == 8888
    assert Size.objects.get(slug="small").cpu == 1


def test_what_is_gone_is_retired_not_deleted(folder: Path) -> None:
    catalog.apply(read(folder), actor="test")
    (folder / LAB).unlink()
    assert [str(change) for change in catalog.diff(read(folder))] == ["- template jupyter-python"]
    catalog.apply(read(folder), actor="test")
    assert Template.objects.get(slug="jupyter-python").retired


@pytest.mark.parametrize(
    ("name", "old", "new", "problem"),
    [
        ("sizes.yaml", "cpu: 2,", "cpu: -2,", "sizes.yaml:5: sizes.1.cpu:"),
        (LAB, "port: 8888", "port: 88888", "jupyter-python.yaml:16: versions.0.port:"),
        (LAB, "kind: workspace", "kind: pet", "jupyter-python.yaml:4: kind:"),
        (LAB, "teams:", "teems:", "jupyter-python.yaml:1: the file:"),
        (LAB, "default_size: small", "default_size: tiny", "yaml:10: default_size: “tiny”"),
        (LAB, "[small, medium", "[small, huge", "yaml:9: sizes.1: there is no size “huge”"),
        (LAB, "slug: jupyter-python", "slug: other", "yaml:1: slug: the file of “other”"),
        (
            LAB,
            IMAGE,
            "pull: python}",
            "yaml:15: versions.0.image: “python”",
        ),
        (
            LAB,
            IMAGE,
            "build: nope}",
            "yaml:15: versions.0.image: there is no",
        ),
        (LAB, ", build: jupyter-python}", "}", "yaml:15: versions.0.image: give either"),
        (
            LAB,
            "{name: jupyter-python,",
            "{name: base,",
            "yaml:15: versions.0.image: the image “base”",
        ),
        (
            LAB,
            "- lab\n",
            "- '{parameters.x}'\n",
            "versions.0.command: there is no parameter “x”",
        ),
        (
            LAB,
            "port: 8888",
            "port: 8888\n    parameters: {type: 3}",
            "yaml:17: versions.0.parameters.type:",
        ),
        (LAB, "kind:", "name: Twice\nkind:", "yaml:4: name: is given twice"),
        (LAB, "kind:", "documentation: javascript:x\nkind:", "yaml:4: documentation:"),
        ("sizes.yaml", "slug: medium", "slug: small", "sizes.yaml:5: sizes.1.slug: “small” is there twice"),
        ("prices.yaml", '"0.02"', "0.02", "prices.yaml:4: prices.cpu:"),
        ("sizes.yaml", "sizes:", "sizes: [", "sizes.yaml:"),
        (
            "templates/jupyter-python.yaml",
            "    port: 8888",
            "    parameters:\n      properties:\n        x: {type: array}\n    port: 8888",
            "jupyter-python.yaml:18: versions.0.parameters.properties.x.type: type must be one of",
        ),
        (
            "templates/jupyter-python.yaml",
            "    port: 8888",
            "    parameters:\n      properties:\n        x: {type: integer, default: y}\n    port: 8888",
            "jupyter-python.yaml:18: versions.0.parameters.properties.x.default: is not a value",
        ),
        ("templates/jupyter-python.yaml", "kind:", "link: [env]\nkind:", "jupyter-python.yaml:4: link.0:"),
        (
            "templates/jupyter-python.yaml",
            "kind:",
            "link: [size, parameters.x]\nkind:",
            "jupyter-python.yaml:4: link.1: no version has a parameter “x”",
        ),
    ],
)
def test_errors_name_file_and_line(folder: Path, name: str, old: str, new: str, problem: str) -> None:
    edit(folder / name, old, new)
    with pytest.raises(CatalogError) as refused:
        read(folder)
    assert problem in str(refused.value)


def add_version(folder: Path, name: str, **changes: Any) -> None:
    """A copy of the newest version in the file, with other values."""
    path = folder / LAB
    text = path.read_text()
    newest = text[text.rindex("  - version:") :].replace('"2026.11"', f'"{name}"')
    for old, new in changes.get("edits", {}).items():
        assert old in newest
        newest = newest.replace(old, new)
    path.write_text(text.rstrip("\n") + "\n" + newest)


def pulled(folder: Path, reference: str) -> None:
    edit(
        folder / LAB,
        "image: {name: jupyter-python, build: jupyter-python}",
        f"image: {{name: py, pull: '{reference}'}}",
    )


def command(*args: str, stdin: str | None = None, monkeypatch: Any = None) -> str:
    if stdin is not None:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
    said = io.StringIO()
    call_command("catalog", *args, stdout=said)
    return said.getvalue()


def test_what_is_exported_applies_as_nothing(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = "    changes: |\n      A newer Python.\n      Less memory.\n    port:"
    add_version(folder, "2027.1", edits={"    port:": changes})
    edit(folder / LAB, "kind:", "documentation: https://docs.example.org/lab\nnotes: Ask ada.\nkind:")
    edit(folder / "sizes.yaml", "small, cpu: 1,", "small, cpu: 0.5,")
    catalog.apply(read(folder), actor="test")
    assert command("apply", "-", stdin=command("export"), monkeypatch=monkeypatch) == "Nothing to change.\n"
    command("export", str(tmp_path / "out"))
    assert read(tmp_path / "out") == read_text(as_text(published()), "x") == published()
    assert command("diff", str(tmp_path / "out")) == "Nothing to change.\n"
    assert AuditEvent.objects.filter(verb="catalog.apply").count() == 1


def test_an_export_into_a_folder_removes_what_is_offered_no_more(folder: Path) -> None:
    catalog.apply(read(folder), actor="test")
    (folder / "templates/gone.yaml").write_text("slug: gone")
    write(published(), folder)
    assert catalog.diff(read(folder)) == []


def test_a_stream_names_its_lines_and_clashes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog.apply(read(folder), actor="test")
    text = as_text(published())
    twice = text + text[text.index("templates:\n") + len("templates:\n") :]
    with pytest.raises(CatalogError, match=r"stdin:\d+: slug: another template is called “jupyter-python” too"):
        read_text(twice, "stdin")
    with pytest.raises(CommandError, match="stdin:1: the file:"):
        command("diff", "-", stdin="sizes: []", monkeypatch=monkeypatch)
    with pytest.raises(CommandError, match="add --yes"):
        command("apply", "-", stdin=text.replace("name: JupyterLab", "name: Lab"), monkeypatch=monkeypatch)
    assert "Published 1 changes" in command(
        "apply", "-", "--yes", stdin=text.replace("name: JupyterLab", "name: Lab"), monkeypatch=monkeypatch
    )


def test_who_published_what_is_in_the_record(folder: Path) -> None:
    catalog.apply(read(folder), actor="ada")
    event = AuditEvent.objects.get(verb="catalog.apply")
    assert event.actor == "ada"
    assert "+ version jupyter-python 2026.11" in event.after["changes"]


def test_an_old_state_is_read_back_from_the_record(folder: Path) -> None:
    catalog.apply(read(folder), actor="test")
    before = published()
    edit(folder / "sizes.yaml", "small, cpu: 1,", "small, cpu: 1.5,")
    edit(folder / LAB, "name: JupyterLab", "name: Notebooks")
    (folder / "templates/vscode.yaml").unlink()
    catalog.apply(read(folder), actor="ada")
    event = AuditEvent.objects.get(verb="catalog.apply", actor="ada")
    assert sorted(event.before["files"]) == ["sizes.yaml", LAB, "templates/vscode.yaml"]
    assert event.after["files"][LAB]["name"] == "Notebooks"
    files = documents(published()) | event.before["files"]
    catalog.apply(read_files({name: dump(data) for name, data in files.items()}), actor="ada")
    assert published() == before


def test_a_broken_template_leaves_everything_as_it_was(folder: Path) -> None:
    catalog.apply(read(folder), actor="test")
    before = as_text(published())
    edit(folder / "sizes.yaml", "small, cpu: 1,", "small, cpu: 1.5,")
    edit(folder / LAB, "- lab", "- lab: [")
    with pytest.raises(CatalogError):
        catalog.apply(read(folder), actor="test")
    assert as_text(published()) == before


def test_a_template_in_use_that_is_taken_out_goes_on_working(
    folder: Path, make_workspace: Callable[..., Any], settle: Callable[[], None], people: People
) -> None:
    workspace = make_workspace()
    settle()
    (folder / LAB).rename(folder / "elsewhere")
    catalog.apply(read(folder), actor="test")
    assert not access.templates_for(people.vera).filter(slug="jupyter-python").exists()
    with pytest.raises(Invalid):
        make_workspace()
    actions.restart(workspace, actor="vera")
    settle()
    actions.stop(workspace, actor="vera")
    settle()
    actions.start(workspace, actor="vera")
    settle()
    assert state_of(Allocation.objects.latest("created_at"), deleted=False) == W.RUNNING


def test_a_version_that_is_taken_out_is_offered_no_more_and_comes_back(
    folder: Path, make_workspace: Callable[..., Any]
) -> None:
    kept = (folder / LAB).read_text()
    add_version(folder, "2027.1")
    assert [str(c) for c in catalog.apply(read(folder), actor="test")] == ["+ version jupyter-python 2027.1"]
    assert make_workspace().version.version == "2027.1"
    both = (folder / LAB).read_text()
    (folder / LAB).write_text(kept)
    assert [str(c) for c in catalog.apply(read(folder), actor="test")] == ["- version jupyter-python 2027.1"]
    assert make_workspace().version.version == "2026.11"
    with pytest.raises(Invalid):
        make_workspace(version="2027.1")
    (folder / LAB).write_text(both)
    catalog.apply(read(folder), actor="test")
    assert make_workspace(version="2027.1").version.version == "2027.1"


def test_a_pulled_image_cannot_become_another_one_under_the_same_name(folder: Path) -> None:
    first, second = (f"registry.example.org/x@sha256:{digit * 64}" for digit in "12")
    pulled(folder, first)
    catalog.apply(read(folder), actor="test")
    edit(folder / LAB, first, second)
    with pytest.raises(CatalogError, match="image py is run by published versions"):
        catalog.apply(read(folder), actor="test")
    edit(folder / LAB, second, first)
    add_version(folder, "2027.1", edits={first: second})
    with pytest.raises(CatalogError, match="the image “py” is described differently elsewhere"):
        read(folder)


def image_of(found: Catalog) -> dict[str, str]:
    template = next(one for one in found.templates if one["slug"] == "jupyter-python")
    image: dict[str, str] = template["versions"][0]["image"]
    return image


def test_a_tag_is_exported_with_its_digest(folder: Path) -> None:
    pulled(folder, "registry.example.org:5000/x:3.12")
    catalog.apply(read(folder), actor="test")
    assert image_of(read_text(as_text(published()), "x"))["pull"].endswith("x:3.12")
    pinned = f"registry.example.org:5000/x@sha256:{'1' * 64}"
    Image.objects.filter(pk="py").update(reference=pinned)
    assert catalog.diff(read(folder)) == []
    assert image_of(published())["pull"] == f"registry.example.org:5000/x:3.12@sha256:{'1' * 64}"
    assert catalog.diff(published()) == []


def test_a_difference_that_changed_meanwhile_is_not_applied(folder: Path) -> None:
    catalog.apply(read(folder), actor="test")
    edit(folder / LAB, "name: JupyterLab", "name: Lab")
    agreed = catalog.difference(read(folder)).digest
    Template.objects.update(summary="Changed by somebody else")
    with pytest.raises(Conflict, match="by somebody else meanwhile"):
        catalog.apply(read(folder), actor="test", agreed=agreed)
    assert Template.objects.get(slug="jupyter-python").name == "JupyterLab"


THEIRS = [
    (LAB, "name: JupyterLab", "name: Mine", "name: Theirs"),
    ("sizes.yaml", "cpu: 1, memory_gib: 2}", "cpu: 2, memory_gib: 2}", "cpu: 1, memory_gib: 3}"),
    ("prices.yaml", '"0.02"', '"0.03"', '"0.04"'),
    ("datasets.yaml", "summary: Small", "summary: Mine", "summary: Theirs"),
]
"""What is published, and two ways in which the same line of a difference edits it."""


@pytest.mark.parametrize(("name", "old", "mine", "theirs"), THEIRS)
def test_what_somebody_else_published_while_the_command_asked_is_not_undone(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, old: str, mine: str, theirs: str
) -> None:
    catalog.apply(read(folder), actor="test")
    edit(folder / name, old, theirs)
    others = read(folder)
    edit(folder / name, theirs, mine)

    def answered_after_another_was_published(_: str) -> str:
        catalog.apply(others, actor="luis")
        return "y"

    monkeypatch.setattr("builtins.input", answered_after_another_was_published)
    with pytest.raises(CommandError, match="by somebody else meanwhile"):
        command("apply", str(folder))
    assert published() == others
    monkeypatch.setattr("builtins.input", lambda _: "y")
    assert "Published 1 changes" in command("apply", str(folder))
    assert published() == read(folder)


def test_surprises_are_noted(folder: Path) -> None:
    edit(folder / LAB, 'teams: ["*"]', "teams: [nobodies]")
    assert "there is no team “nobodies” yet" in command("diff", str(folder))
    edit(folder / LAB, "teams: [nobodies]", "teams: []")
    assert "so nobody can launch it" in command("diff", str(folder))


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_one_waits_and_then_finds_nothing_to_do(folder: Path) -> None:
    wanted, begun, answers = read(folder), threading.Event(), dict[str, int]()
    found = catalog.difference(wanted)
    agreed = found.digest

    def second() -> None:
        begun.set()
        answers["second"] = len(catalog.apply(wanted, actor="second", agreed=agreed))
        connection.close()

    from django.db import transaction

    thread = threading.Thread(target=second)
    with transaction.atomic():
        answers["first"] = len(catalog.apply(wanted, actor="first", agreed=agreed))
        thread.start()
        begun.wait()
        thread.join(0.5)
        assert thread.is_alive(), "the second must wait for the first"
    thread.join()
    assert answers == {"first": len(found.changes), "second": 0}
    assert list(AuditEvent.objects.filter(verb="catalog.apply").values_list("actor", flat=True)) == ["first"]


def test_parameters_are_published_closed_and_in_their_order(folder: Path) -> None:
    described = "    parameters:\n      properties:\n        zoom: {type: integer}\n        b: {type: string}\n"
    edit(folder / "templates/jupyter-python.yaml", "    port: 8888", described + "    port: 8888")
    catalog.apply(read(folder), actor="test")
    schema = TemplateVersion.objects.get(template="jupyter-python").parameters
    assert (schema["additionalProperties"], schema["x-order"]) == (False, ["zoom", "b"])
    assert catalog.diff(read(folder)) == []


def test_gpu_classes_are_published_with_the_sizes_that_name_them(folder: Path) -> None:
    catalog.apply(read(folder), actor="test")
    assert Size.objects.get(slug="gpu-2").gpu_class_id == "a100"
    edit(folder / "gpus.yaml", '["A100"]', '["A100-SXM4-80GB"]')
    assert [str(change) for change in catalog.diff(read(folder))] == ["~ GPU class a100"]
    catalog.apply(read(folder), actor="test")
    assert GpuClass.objects.get(slug="a100").products == ["A100-SXM4-80GB"]


def test_a_size_names_a_class_that_there_is_and_a_class_has_a_price(folder: Path) -> None:
    edit(folder / "sizes.yaml", "class: a100, count: 1", "class: v100, count: 1")
    edit(folder / "gpus.yaml", "slug: l4", "slug: l40")
    edit(folder / "approvals.yaml", "gpu_class: l4", "gpu_class: l40")
    with pytest.raises(CatalogError) as refused:
        read(folder)
    assert refused.value.problems == [
        "gpus.yaml:8: gpu_classes.3: there is no price gpu-l40 in prices.yaml",
        "sizes.yaml:7: sizes.3.gpu.class: there is no GPU class “v100” in gpus.yaml",
    ]


def test_approval_rules_are_published_changed_and_taken_out(folder: Path) -> None:
    catalog.apply(read(folder), actor="ada")
    assert ApprovalRule.objects.get().mode == "shadow"
    edit(folder / "approvals.yaml", "mode: shadow", "mode: active")
    assert [str(change) for change in catalog.diff(read(folder))] == ["~ approval rule short-small"]
    catalog.apply(read(folder), actor="ada")
    assert ApprovalRule.objects.get().mode == "active"
    edit(folder / "approvals.yaml", "gpu_class: l4", "gpu_class: v100")
    with pytest.raises(CatalogError) as refused:
        read(folder)
    assert refused.value.problems == [
        "approvals.yaml:5: approval_rules.0.gpu_class: there is no GPU class “v100” in gpus.yaml"
    ]
    (folder / "approvals.yaml").unlink()
    assert [str(change) for change in catalog.apply(read(folder), actor="ada")] == ["- approval rule short-small"]
    assert not ApprovalRule.objects.exists()


def test_limits_are_published_changed_and_taken_away(folder: Path) -> None:
    catalog.apply(read(folder), actor="ada")
    kept = ResourceLimit.objects.get(resource="workspaces")
    assert (kept.resource, kept.each_person, kept.each_team) == ("workspaces", Decimal(20), None)
    edit(folder / "limits.yaml", "each_person: 20", "each_team: 0.5")
    assert [str(change) for change in catalog.apply(read(folder), actor="ada")] == ["~ limit workspaces"]
    kept = ResourceLimit.objects.get(resource="workspaces")
    assert (kept.each_person, kept.each_team) == (None, Decimal("0.5"))
    assert not list(catalog.diff(read(folder)))
    (folder / "limits.yaml").unlink()
    gone = {"- limit workspaces", "- limit storage_gib"}
    assert {str(change) for change in catalog.apply(read(folder), actor="ada")} == gone
    assert not ResourceLimit.objects.exists()


def test_a_limit_names_its_mistake_and_its_line(folder: Path) -> None:
    edit(folder / "limits.yaml", "resource: workspaces", "resource: beds")
    with pytest.raises(CatalogError) as refused:
        read(folder)
    assert str(refused.value).startswith(f"{place(folder, 'limits.yaml', 'beds')}: limits.0.resource")
    edit(folder / "limits.yaml", "resource: beds", "resource: cpu")
    more = (folder / "limits.yaml").read_text() + "  - {resource: cpu, each_team: 5}\n"
    (folder / "limits.yaml").write_text(more)
    with pytest.raises(CatalogError) as refused:
        read(folder)
    assert str(refused.value).startswith(f"{place(folder, 'limits.yaml', 'each_team: 5')}: limits.2.resource")


def test_what_teams_lend_is_published_and_written_back(folder: Path) -> None:
    edit(folder / "limits.yaml", "each_person: 20", "each_team: 40, team_lends: 10.5, team_borrows: 20")
    edit(folder / "gpus.yaml", "each_team: 4}", "each_team: 4, team_lends: 2, team_borrows: 4}")
    catalog.apply(read(folder), actor="ada")
    kept = ResourceLimit.objects.get(resource="workspaces")
    assert (kept.each_team, kept.team_lends, kept.team_borrows) == (Decimal(40), Decimal("10.5"), Decimal(20))
    lending = GpuClass.objects.get(team_lends=2)
    assert (lending.slug, lending.team_borrows) == ("a100", 4)
    assert not list(catalog.diff(read(folder)))


def test_what_cannot_come_back_is_not_lent(folder: Path) -> None:
    edit(folder / "limits.yaml", "each_team: 200", "each_team: 200, team_lends: 1, team_borrows: 1")
    with pytest.raises(CatalogError) as refused:
        read(folder)
    assert refused.value.problems == [
        f"{place(folder, 'limits.yaml', 'each_team: 200')}: limits.1.{name}: there is no such thing for storage_gib"
        for name in ("team_lends", "team_borrows")
    ]


@pytest.mark.parametrize(("file", "was"), [("limits.yaml", "each_person: 20}"), ("gpus.yaml", "each_team: 4}")])
def test_only_of_a_limit_of_teams_can_something_be_lent(folder: Path, file: str, was: str) -> None:
    edit(folder / file, was, "team_lends: 1}")
    with pytest.raises(CatalogError) as refused:
        read(folder)
    [problem] = refused.value.problems
    assert problem.startswith(f"{place(folder, file, 'team_lends: 1')}: ")
    assert problem.endswith("'each_team' is a dependency of 'team_lends'")


ALLOWED = """\
allowed_images:
  - slug: vision-images
    name: Images of the vision team
    patterns: ["registry.example.org/vision/*", "docker.io/library/python:3.12*"]
    teams: [vision]
"""


def test_as_it_ships_no_image_is_allowed(folder: Path) -> None:
    assert read(folder).allowed_images == []
    (folder / "images.yaml").unlink()
    assert read(folder).allowed_images == []


def test_images_that_jobs_may_name_are_published_and_written_back(folder: Path, tmp_path: Path) -> None:
    catalog.apply(read(folder), actor="ada")
    (folder / "images.yaml").write_text(ALLOWED)
    assert [str(change) for change in catalog.apply(read(folder), actor="ada")] == ["+ allowed images vision-images"]
    kept = Template.objects.get(kind="image")
    assert (kept.patterns[1], kept.teams) == ("docker.io/library/python:3.12*", ["vision"])
    assert kept.default_size_id == "small" and kept.sizes.count() == Size.objects.filter(retired=False).count()
    assert not list(catalog.diff(read(folder)))
    write(published(), tmp_path / "written")
    assert read(tmp_path / "written").allowed_images == read(folder).allowed_images
    assert read_text(as_text(published()), "whole").allowed_images == read(folder).allowed_images
    edit(folder / "images.yaml", "    teams: [vision]\n", "")
    assert [str(change) for change in catalog.apply(read(folder), actor="ada")] == ["~ allowed images vision-images"]
    assert Template.objects.get(kind="image").teams == ["*"]
    (folder / "images.yaml").write_text("allowed_images: []\n")
    assert [str(change) for change in catalog.apply(read(folder), actor="ada")] == ["- allowed images vision-images"]
    assert not Template.objects.filter(kind="image", retired=False).exists()


def test_nobody_launches_what_only_jobs_may_name(folder: Path, people: People) -> None:
    (folder / "images.yaml").write_text(ALLOWED)
    catalog.apply(read(folder), actor="ada")
    assert not access.templates_for(people.vera).filter(kind="image").exists()
    assert access.patterns_for(people.vera) == ["registry.example.org/vision/*", "docker.io/library/python:3.12*"]
    assert access.patterns_for(people.oda) == []


@pytest.mark.parametrize(
    "pattern", ["*", "python:3.12", "*.example.org/team/*", "registry.example.org", "Registry.example.org/x", "../x"]
)
def test_a_pattern_begins_with_its_registry(folder: Path, pattern: str) -> None:
    (folder / "images.yaml").write_text(ALLOWED.replace("registry.example.org/vision/*", pattern))
    with pytest.raises(CatalogError) as refused:
        read(folder)
    assert str(refused.value).startswith("images.yaml:4: allowed_images.0.patterns.0")


def test_templates_and_allowed_images_do_not_share_a_name(folder: Path) -> None:
    (folder / "images.yaml").write_text(ALLOWED.replace("vision-images", "python"))
    with pytest.raises(CatalogError, match=r"images.yaml:2: .*a template is called “python” too"):
        read(folder)
    (folder / "images.yaml").write_text("allowed_images: []\n")
    catalog.apply(read(folder), actor="ada")
    (folder / "templates/python.yaml").unlink()
    catalog.apply(read(folder), actor="ada")
    (folder / "images.yaml").write_text(ALLOWED.replace("vision-images", "python"))
    with pytest.raises(CatalogError, match="“python” was the name of a template before; choose another"):
        catalog.apply(read(folder), actor="ada")
