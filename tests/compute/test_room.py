"""Room that becomes free is offered at once to what waits."""

from collections.abc import Callable
from typing import Any

import pytest

from portal.compute import specs, tasks, transitions
from portal.compute.models import Allocation
from runtimes.fake_engine import FakeEngine

pytestmark = pytest.mark.django_db


def test_the_end_of_what_had_a_place_rings_for_admission(
    make_workspace: Callable[..., Any],
    settle: Callable[..., None],
    fake_engine: FakeEngine,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    rung: list[Any] = []
    monkeypatch.setattr(transitions, "ring", rung.append)
    pk = make_workspace().allocation.pk
    with django_capture_on_commit_callbacks(execute=True):
        settle()
    assert rung == []
    fake_engine.end(specs.container_name(Allocation.objects.get(pk=pk)), 0)
    with django_capture_on_commit_callbacks(execute=True):
        settle()
    assert rung == [tasks.admit]
