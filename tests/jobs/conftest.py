"""Jobs through their actions, on a fake engine whose programs end as a test says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import People


@pytest.fixture
def submit(people: People, catalog: None) -> Callable[..., Any]:
    """Submit (and queue) a job."""
    from jobs import actions
    from jobs.submission import Submission

    def make(owner: Any = None, **values: Any) -> Any:
        owner = owner or people.vera
        asked = Submission(**({"template": "python", "command": ["python", "train.py"]} | values))
        return actions.submit(owner, asked, actor=owner.username)

    return make


@pytest.fixture
def tick(settle: Callable[..., None]) -> Callable[..., None]:
    """Workers, agent and the tick, until nothing is left to do."""
    from jobs import actions, holding, scheduling, sweeps

    def run(rounds: int = 3) -> None:
        for _ in range(rounds):
            actions.end_overdue()
            actions.settle_due()
            scheduling.run_due()
            sweeps.cancel_due()
            holding.release_due()
            actions.begin_due()
            settle(3)
            sweeps.end_due()

    return run


@pytest.fixture
def volumes(tmp_path: Path, settings: Any) -> Path:
    """Where the engine would keep volumes; files belong to whoever runs the tests."""
    from environments.files import disk

    settings.RUNTIME, settings.VOLUMES = "local", str(tmp_path)
    disk._root.cache_clear()
    return tmp_path


@pytest.fixture
def leaving(submit: Callable[..., Any], tick: Callable[..., None], fake_engine: Any, volumes: Path) -> Any:
    """Make jobs that leave files: see Leaving."""
    from tests.jobs.leaving import Leaving

    return Leaving(submit, tick, fake_engine, volumes)
