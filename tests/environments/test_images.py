"""Images: fetched by one worker at a time, with progress, and told truthfully when it fails."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from environments import images
from environments.models import Image
from environments.states import ImageState
from portal.lib import clock
from runtimes.base import EngineRefused, EngineUnreachable, ImageInfo, OnProgress, Progress

pytestmark = pytest.mark.django_db(transaction=True)


class Builder:
    """An engine that builds in two steps, or fails as told; it knows no image beforehand."""

    isolated = True

    def __init__(self) -> None:
        self.built: list[str] = []
        self.failure: Exception | None = None
        self.rows: list[Image] = []

    def find_image(self, reference: str) -> ImageInfo | None:
        return ImageInfo("sha256:base", 1) if reference == images.BASE else None

    def build_image(self, tag: str, context: Path, on_progress: OnProgress) -> ImageInfo:
        on_progress(Progress(0.5, "\x1b[32mStep 1/2\x1b[0m"))
        self.rows.append(Image.objects.get())
        if self.failure:
            raise self.failure
        self.built.append(tag)
        return ImageInfo("sha256:" + "b" * 64, 123)


@pytest.fixture
def builder(monkeypatch: pytest.MonkeyPatch, catalog: None) -> Iterator[Builder]:
    made = Builder()
    monkeypatch.setattr(images, "runtime", lambda: made)
    Image.objects.update(state=ImageState.QUEUED, digest="")
    yield made


def test_a_build_shows_progress_and_ends_ready(builder: Builder) -> None:
    images.fetch("jupyter-python")
    during, after = builder.rows[0], Image.objects.get()
    assert (during.state, during.progress, during.message) == ("building", 0.5, "Step 1/2")
    assert (after.state, after.digest, after.size) == ("ready", "sha256:" + "b" * 64, 123)


def test_two_workers_build_once(builder: Builder) -> None:
    Image.objects.update(state=ImageState.BUILDING, working_until=clock.now() + timedelta(seconds=30))
    images.fetch("jupyter-python")
    assert builder.built == []
    with clock.shifted(timedelta(minutes=1)):
        images.fetch("jupyter-python")
    assert len(builder.built) == 1


def test_a_failed_build_says_why_and_can_be_asked_for_again(builder: Builder) -> None:
    builder.failure = EngineRefused("pip found no such package")
    images.fetch("jupyter-python")
    row = Image.objects.get()
    assert (row.state, row.message) == ("failed", "pip found no such package")
    builder.failure = None
    images.request(row, actor="ada")
    images.fetch("jupyter-python")
    assert Image.objects.get().state == "ready"


def test_an_engine_that_does_not_answer_leaves_it_waiting(builder: Builder) -> None:
    builder.failure = EngineUnreachable("no answer")
    images.fetch("jupyter-python")
    assert Image.objects.get().state == "queued"


def test_the_tick_rings_for_what_a_dead_worker_left(builder: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[Any] = []
    monkeypatch.setattr(images, "ring_fetch", rung.append)
    Image.objects.update(state=ImageState.BUILDING, working_until=clock.now() - timedelta(seconds=1))
    images.ring_due()
    images.ring_due()
    assert rung == ["jupyter-python"]


def test_the_reference_follows_the_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "CONTEXTS", tmp_path)
    (tmp_path / "x").mkdir()
    (tmp_path / "x/Dockerfile").write_text("FROM scratch")
    before = images.reference_of("x")
    assert images.reference_of("x") == before
    (tmp_path / "x/Dockerfile").write_text("FROM other")
    assert images.reference_of("x") != before
