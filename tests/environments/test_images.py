"""Images: fetched by one worker at a time, with progress, and told truthfully when it fails."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from environments import actions, contexts, image_cleaning, images, mirrors
from environments.models import Image, ImageCopy, Template, TemplateVersion, Workspace
from environments.states import ImageState
from portal.audit.models import AuditEvent
from portal.celery import app
from portal.lib import clock
from portal.lib.errors import Conflict, Invalid
from runtimes.base import EngineRefused, EngineUnreachable, ImageInfo, OnProgress, Progress

pytestmark = pytest.mark.django_db(transaction=True)


class Builder:
    """An engine that builds in two steps, or fails as told; it knows no image beforehand."""

    isolated = True

    def __init__(self) -> None:
        self.built: list[str] = []
        self.failure: Exception | None = None
        self.rows: list[Image] = []
        self.meanwhile: Callable[[], object] = lambda: None
        self.removed: list[str] = []
        self.there = {contexts.DEBIAN, contexts.reference_of("base")}

    def find_image(self, reference: str) -> ImageInfo | None:
        return ImageInfo("sha256:base", 1) if reference in self.there else None

    def build_image(self, tag: str, context: Path, on_progress: OnProgress) -> ImageInfo:
        on_progress(Progress(0.5, "\x1b[32mStep 1/2\x1b[0m"))
        self.rows.append(Image.objects.get(context=context.name))
        self.meanwhile()
        on_progress(Progress(0.6, "Step 2/2"))
        if self.failure:
            raise self.failure
        self.built.append(tag)
        return ImageInfo("sha256:" + "b" * 64, 123)

    def resolve_image(self, tag: str) -> str:
        if self.failure:
            raise self.failure
        return f"{tag.rpartition(':')[0]}@sha256:{'c' * 64}"

    def pull_image(self, reference: str, on_progress: OnProgress) -> ImageInfo:
        on_progress(Progress(0.5, "half"))
        if self.failure:
            raise self.failure
        self.built.append(reference)
        return ImageInfo("sha256:" + "d" * 64, 9)

    def remove_image(self, reference: str) -> None:
        if self.failure:
            raise self.failure
        self.removed.append(reference)


@pytest.fixture
def builder(monkeypatch: pytest.MonkeyPatch, catalog: None) -> Iterator[Builder]:
    made = Builder()
    for module in (images, image_cleaning):
        monkeypatch.setattr(module, "runtime", lambda: made)
    Image.objects.filter(pk="jupyter-python").update(state=ImageState.QUEUED, digest="")
    yield made


def lab() -> Image:
    return Image.objects.get(pk="jupyter-python")


def test_a_build_shows_progress_and_ends_ready(builder: Builder) -> None:
    images.fetch("jupyter-python")
    during, after = builder.rows[0], lab()
    assert (during.state, during.progress, during.message) == ("building", 0.5, "Step 1/2")
    assert (after.state, after.digest, after.size) == ("ready", "sha256:" + "b" * 64, 123)


def test_two_workers_build_once(builder: Builder) -> None:
    Image.objects.filter(pk="jupyter-python").update(
        state=ImageState.BUILDING, working_until=clock.now() + timedelta(seconds=30)
    )
    images.fetch("jupyter-python")
    assert builder.built == []
    with clock.shifted(timedelta(minutes=1)):
        images.fetch("jupyter-python")
    assert len(builder.built) == 1


def test_a_failed_build_says_why_and_can_be_asked_for_again(builder: Builder) -> None:
    builder.failure = EngineRefused("pip found no such package")
    images.fetch("jupyter-python")
    row = lab()
    assert (row.state, row.message) == ("failed", "pip found no such package")
    builder.failure = None
    images.request(row, actor="ada")
    images.fetch("jupyter-python")
    assert lab().state == "ready"


def test_an_engine_that_does_not_answer_leaves_it_waiting(builder: Builder) -> None:
    builder.failure = EngineUnreachable("no answer")
    images.fetch("jupyter-python")
    assert lab().state == "queued"


def test_the_tick_rings_for_what_a_dead_worker_left(builder: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[Any] = []
    monkeypatch.setattr(images, "ring_fetch", rung.append)
    Image.objects.filter(pk="jupyter-python").update(
        state=ImageState.BUILDING, working_until=clock.now() - timedelta(seconds=1)
    )
    images.ring_due()
    images.ring_due()
    assert rung == ["jupyter-python"]


def test_an_image_waits_for_the_one_it_builds_on(builder: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[Any] = []
    monkeypatch.setattr(images, "ring_fetch", rung.append)
    builder.there.remove(contexts.reference_of("base"))
    images.fetch("jupyter-python")
    assert (lab().state, lab().message, builder.built) == ("queued", "Waiting for image base", [])
    images.fetch("base")
    assert rung[-1] == "jupyter-python"
    builder.there.add(contexts.reference_of("base"))
    images.fetch("jupyter-python")
    assert (lab().state, len(builder.built)) == ("ready", 2)


@pytest.mark.parametrize("state", [ImageState.READY, ImageState.REMOVED])
def test_a_base_that_is_gone_is_asked_for(builder: Builder, state: ImageState) -> None:
    Image.objects.filter(pk="base").update(state=state)
    builder.there.remove(contexts.reference_of("base"))
    images.fetch("jupyter-python")
    assert Image.objects.get(pk="base").state == "queued"
    assert (lab().state, lab().message) == ("queued", "Waiting for image base")


def test_an_image_whose_base_failed_says_so(builder: Builder) -> None:
    Image.objects.filter(pk="base").update(state=ImageState.FAILED, failed_at=clock.now(), message="no network")
    images.fetch("jupyter-python")
    assert (lab().state, lab().message) == ("failed", "It builds on base, which could not be built: no network")


def test_a_base_that_failed_a_while_ago_is_built_again_first(builder: Builder) -> None:
    builder.there.remove(contexts.reference_of("base"))
    Image.objects.filter(pk="base").update(state=ImageState.FAILED, failed_at=clock.now(), message="no network")
    with clock.shifted(timedelta(minutes=11)):
        images.fetch("jupyter-python")
    assert Image.objects.get(pk="base").state == "queued"
    assert (lab().state, lab().message) == ("queued", "Waiting for image base")


def pulled() -> None:
    """What `jupyter-python` runs is pulled from now on."""
    reference = f"registry.example.org/py@sha256:{'c' * 64}"
    Image.objects.filter(pk="jupyter-python").update(context="", base=None, reference=reference)


def test_a_failed_pull_ends_who_waits_for_it_and_each_start_has_it_pulled_again(
    builder: Builder, make_workspace: Callable[..., Any], settle: Callable[..., None]
) -> None:
    pulled()
    builder.failure = EngineRefused("the registry does not answer")
    allocation = make_workspace().allocation
    for _ in range(2):
        settle()
        assert lab().state == "queued"
        images.fetch("jupyter-python")
        settle()
        allocation.refresh_from_db()
        assert (lab().state, allocation.reason) == ("failed", "image_error")
        assert "could not be pulled: the registry does not answer" in allocation.message
        allocation = actions.start(Workspace.objects.get(), actor="vera").allocation
    builder.failure = None
    settle()
    images.fetch("jupyter-python")
    settle()
    allocation.refresh_from_db()
    assert allocation.phase == "running"


def test_a_failed_build_rests_before_a_launch_has_it_built_again(
    builder: Builder, make_workspace: Callable[..., Any], settle: Callable[..., None]
) -> None:
    builder.failure = EngineRefused("pip found no such package")
    workspace = make_workspace()
    settle()
    images.fetch("jupyter-python")
    settle()
    builder.failure = None
    for minutes, state, phase in ((1, "failed", "ended"), (9, "failed", "ended"), (11, "queued", "pulling")):
        with clock.shifted(timedelta(minutes=minutes)):
            allocation: Any = actions.start(workspace, actor="vera").allocation
            settle()
        allocation.refresh_from_db()
        assert (lab().state, allocation.phase) == (state, phase), minutes
        if phase == "ended":
            assert "not built again for 10 min: pip found" in allocation.message


def test_a_cancelled_pull_is_not_begun_again_for_who_waited(
    builder: Builder, make_workspace: Callable[..., Any], settle: Callable[..., None]
) -> None:
    pulled()
    workspace = make_workspace()
    settle()
    images.cancel(lab(), actor="ada")
    settle()
    workspace.allocation.refresh_from_db()
    assert (lab().state, workspace.allocation.reason) == ("failed", "image_error")
    assert "Cancelled by ada." in workspace.allocation.message


def test_the_reference_follows_the_content_and_what_it_builds_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contexts, "FOLDER", tmp_path)
    for name, start in {"below": "debian:bookworm-slim", "x": "berth/below"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "Dockerfile").write_text(f"FROM {start}\n")
    seen = {contexts.reference_of("x")}
    (tmp_path / "x/Dockerfile").write_text("FROM berth/below\nUSER root\n")
    seen.add(contexts.reference_of("x"))
    (tmp_path / "below/Dockerfile").write_text("FROM debian:bookworm-slim\nUSER root\n")
    seen.add(contexts.reference_of("x"))
    assert len(seen) == 3
    with contexts.prepared("x") as folder:
        assert (folder / "Dockerfile").read_text() == f"FROM {contexts.reference_of('below')}\nUSER root\n"


def test_a_running_build_is_cancelled_and_its_late_result_does_not_count(
    builder: Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "REPORT_SECONDS", 0.0)
    builder.meanwhile = lambda: images.cancel(lab(), actor="ada")
    images.fetch("jupyter-python")
    assert (lab().state, lab().message, builder.built) == ("failed", "Cancelled by ada.", [])
    assert AuditEvent.objects.filter(verb="image.cancel", actor="ada").exists()
    builder.meanwhile = lambda: None
    images.request(lab(), actor="ada")
    images.fetch("jupyter-python")
    assert lab().state == "ready"


def test_a_build_that_nobody_may_stop_any_more_does_not_overwrite_the_next(builder: Builder) -> None:
    def again() -> None:
        images.cancel(lab(), actor="ada")
        images.request(lab(), actor="ada")
        builder.meanwhile = lambda: None
        images.fetch("jupyter-python")
        assert lab().state == "ready"
        Image.objects.filter(pk="jupyter-python").update(digest="sha256:newer")

    builder.meanwhile = again
    images.fetch("jupyter-python")
    assert lab().digest == "sha256:newer"


def test_a_waiting_build_is_cancelled_and_one_that_is_not_there_cannot_be(builder: Builder) -> None:
    images.cancel(lab(), actor="ada")
    images.fetch("jupyter-python")
    assert (lab().state, builder.built) == ("failed", [])
    with pytest.raises(Conflict):
        images.cancel(lab(), actor="ada")


def test_a_tag_is_resolved_once_and_then_only_its_digest_counts(builder: Builder) -> None:
    image = Image.objects.create(name="py", tag="registry.example.org:5000/py:3.12")
    assert images.sentence(image) == "Resolving registry.example.org:5000/py:3.12 to a digest"
    builder.failure = EngineRefused("manifest unknown")
    images.fetch("py")
    image.refresh_from_db()
    assert (image.state, image.message, image.reference) == ("failed", "manifest unknown", "")
    builder.failure = None
    images.request(image, actor="ada")
    images.fetch("py")
    image.refresh_from_db()
    assert (image.state, image.reference) == ("ready", f"registry.example.org:5000/py@sha256:{'c' * 64}")
    event = AuditEvent.objects.get(verb="image.resolve")
    assert event.before["tag"].endswith(":3.12")
    Image.objects.filter(pk="py").update(tag="registry.example.org:5000/py:moved")
    images.request(image, actor="ada")
    images.fetch("py")
    assert builder.built == [image.reference] * 2


def test_pulls_and_builds_wait_in_queues_of_their_own(builder: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    queues: list[str] = []
    monkeypatch.setattr(images, "ring", lambda task, name: queues.append(app.conf.task_routes[task.name]["queue"]))
    images.ring_fetch("jupyter-python")
    pulled()
    images.ring_fetch("jupyter-python")
    assert queues == ["heavy", "waiting"]


def test_a_launch_of_what_could_not_be_resolved_has_the_registry_asked_again(
    builder: Builder, make_workspace: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[Any] = []
    monkeypatch.setattr(images, "ring", lambda *what: rung.append(what))
    failed = {"state": ImageState.FAILED, "failed_at": clock.now(), "message": "no route to host"}
    Image.objects.filter(pk="jupyter-python").update(
        context="", base=None, reference="", tag="registry.example.org/py:1", **failed
    )
    with pytest.raises(Invalid) as refused:
        make_workspace()
    assert "no route to host" in refused.value.fields["version"][0]
    [(task, name)] = rung
    task(name)
    assert lab().state == "queued"
    images.fetch("jupyter-python")
    assert make_workspace().pk


def build(*names: str) -> None:
    for name in names:
        Image.objects.filter(pk=name).update(state=ImageState.QUEUED)
        images.fetch(name)


def references() -> list[str]:
    return [copy.reference for copy in image_cleaning.unused()]


def test_older_builds_are_unused_and_go_when_asked(builder: Builder) -> None:
    build("jupyter-python")
    old = lab().reference
    assert references() == []
    Image.objects.filter(pk="jupyter-python").update(reference="berth/jupyter-python:newer")
    build("jupyter-python")
    assert references() == [old]
    image_cleaning.request(actor="ada")
    builder.failure = EngineRefused("it is used by a container")
    image_cleaning.clean()
    assert ImageCopy.objects.get(reference=old).kept_because == "it is used by a container"
    builder.failure = None
    image_cleaning.request(actor="ada")
    image_cleaning.clean()
    assert (builder.removed, references()) == ([old], [])
    event = AuditEvent.objects.filter(verb="image.clean", actor="ada").latest("id")
    assert event.after == {"references": [old], "bytes": 123}


def test_nothing_is_removed_that_a_template_a_workspace_or_a_container_needs(
    builder: Builder, make_workspace: Callable[..., Any]
) -> None:
    build("base", "jupyter-python")
    workspace = make_workspace()
    Template.objects.update(retired=True)
    assert references() == []
    Image.objects.filter(pk="jupyter-python").update(reference="berth/jupyter-python:newer")
    type(workspace.allocation).objects.update(spec={"image": lab().digest})
    assert references() == []


def test_an_image_that_nothing_needs_is_removed_and_comes_back_when_it_is_offered_again(builder: Builder) -> None:
    from django.conf import settings

    from environments import catalog
    from environments.catalog_files import read

    build("base", "jupyter-python")
    TemplateVersion.objects.update(retired=True)
    assert len(references()) == 2
    image_cleaning.request(actor="ada")
    with clock.shifted(timedelta(minutes=2)):
        image_cleaning.clean()
    assert lab().state == "removed"
    catalog.apply(read(settings.BASE_DIR / "catalog"), actor="test")
    assert lab().state == "queued"


def test_what_is_needed_again_meanwhile_stays(builder: Builder) -> None:
    build("base", "jupyter-python")
    TemplateVersion.objects.update(retired=True)
    image_cleaning.request(actor="ada")
    TemplateVersion.objects.update(retired=False)
    image_cleaning.clean()
    assert builder.removed == []
    assert (lab().state, ImageCopy.objects.filter(unwanted_at__isnull=False).count()) == ("ready", 0)


def test_a_removed_image_is_fetched_again_for_who_still_waits_for_it(
    builder: Builder, make_workspace: Callable[..., Any]
) -> None:
    from environments.owner import WorkspaceOwner

    workspace = make_workspace()
    Image.objects.update(state=ImageState.REMOVED)
    answer = WorkspaceOwner().image(workspace.allocation)
    assert (answer.ready, answer.message) == (False, "Image jupyter-python was cleaned up and comes back")
    assert lab().state == "queued"


def test_the_tick_rings_again_for_what_is_still_to_be_removed(
    builder: Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[Any] = []
    monkeypatch.setattr(image_cleaning, "ring", rung.append)
    build("base", "jupyter-python")
    TemplateVersion.objects.update(retired=True)
    image_cleaning.request(actor="ada")
    rung.clear()
    image_cleaning.ring_due()
    assert rung == []
    with clock.shifted(timedelta(minutes=2)):
        image_cleaning.ring_due()
        image_cleaning.ring_due()
    assert len(rung) == 1


def test_builds_use_the_mirrors_and_the_reference_does_not_depend_on_them(settings: Any) -> None:
    reference = contexts.reference_of("jupyter-python")
    settings.PIP_INDEX_URL, settings.NPM_REGISTRY = "https://pypi.example.org/simple", "https://npm.example.org"
    settings.APT_MIRROR = "https://debian.example.org"
    written = mirrors.applied("# A comment\nFROM debian:bookworm-slim AS made\nRUN x\nFROM berth/base:1\nUSER root\n")
    arguments = ["ARG PIP_INDEX_URL=https://pypi.example.org/simple", "ARG NPM_CONFIG_REGISTRY=https://npm.example.org"]
    lines = written.splitlines()
    assert lines[:4] == ["# A comment", "FROM debian:bookworm-slim AS made", *arguments]
    assert "https://debian.example.org" in lines[4]
    assert lines[5:] == ["RUN x", "FROM berth/base:1", *arguments, "USER root"]
    with contexts.prepared("jupyter-python") as folder:
        assert arguments[0] in (folder / "Dockerfile").read_text()
    assert contexts.reference_of("jupyter-python") == reference


def test_without_mirrors_a_dockerfile_is_built_as_it_is() -> None:
    assert mirrors.applied("FROM debian:bookworm-slim\nRUN x\n") == "FROM debian:bookworm-slim\nRUN x\n"


@pytest.mark.parametrize(
    "address", ["https://user:secret@pypi.example.org", "file:///x", "https://x/$(id)", "https://x y"]
)
def test_a_mirror_with_a_password_or_of_another_kind_is_refused_at_start(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.core.exceptions import ImproperlyConfigured

    from portal import settings as module

    monkeypatch.setitem(module.env.ENVIRON, "BERTH_PIP_INDEX_URL", address)
    with pytest.raises(ImproperlyConfigured, match="BERTH_PIP_INDEX_URL"):
        module._mirror("BERTH_PIP_INDEX_URL")


def test_a_card_says_why_the_last_build_failed(builder: Builder) -> None:
    builder.failure = EngineRefused("no such host\nStep 1/9")
    images.fetch("jupyter-python")
    assert images.sentence(lab()) == "The last build failed: no such host"
    assert images.in_short(lab()) == "The last build failed"
