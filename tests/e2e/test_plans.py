"""Sweeps and schedules with real containers: twelve points compared by their loss, and a worker that was away."""

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.callers import Caller, eventually
from tests.system import FIRST_BUILDS, Berth

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

LONGEST = 300
LOSS = "print('::metric loss=' + str(abs({parameters.lr} - 0.01) + {parameters.depth} / 1000) + '::')"
SWEEP = {
    "name": "lr search",
    "job": {"template": "python", "size": "small", "command": ["python", "-c", LOSS]},
    "space": {"lr": [0.1, 0.01, 0.001], "depth": [3, 5, 7, 9]},
    "parallelism": 4,
    "metric": "loss",
}


@pytest.fixture
def ready(berth: Berth) -> None:
    eventually(lambda: berth.image("jupyter-python")["state"] == "ready", "the image of jobs", FIRST_BUILDS)


def ended(caller: Caller, sweep_id: str) -> dict[str, Any]:
    """The sweep when all its points have ended; never more under way than it allows."""

    def there() -> dict[str, Any] | None:
        found: dict[str, Any] = caller.do("GET", f"/sweeps/{sweep_id}/")
        assert found["progress"]["running"] <= found["parallelism"]
        done = found["progress"]["ended"] == found["count"]
        return found if done and all(point["best"] is not None for point in found["points"]) else None

    return eventually(there, "the end of all points", LONGEST)


def test_twelve_points_are_run_four_at_once_and_compared(berth: Berth, scientist: Caller, ready: None) -> None:
    made = scientist.do("POST", "/sweeps/", SWEEP)
    assert made["progress"] == {"held": 8, "running": 4, "succeeded": 0, "ended": 0}
    found = ended(scientist, made["id"])
    assert found["progress"]["succeeded"] == 12
    best = found["points"][found["best_point"] - 1]
    assert best["parameters"] == {"lr": 0.01, "depth": 3}
    assert best["best"] == pytest.approx(0.003)
    path = f"/jobs/sweeps/{made['id']}/?sort=-best"
    page = berth.server.send("GET", "localhost", path, Cookie=berth.sign_in("scientist")).body.decode()
    shown = [int(point) for point in re.findall(r"<td>\s*<a [^>]*>(\d+)</a>", page)]
    by_loss = sorted(found["points"], key=lambda point: -point["best"])
    assert shown == [point["point"] for point in by_loss]
    assert "best 0.003 where depth is 3." in page
    berth.assert_invariants()


def test_a_schedule_fires_at_its_due_time(berth: Berth, scientist: Caller, ready: None) -> None:
    job = {"template": "python", "size": "small", "command": ["python", "-c", "print('hello')"]}
    made = scientist.do("POST", "/schedules/", {"job": job, "cron": "* * * * *", "name": "each minute"})
    due = datetime.fromisoformat(made["next_run_at"])

    def first() -> dict[str, Any] | None:
        listed: list[dict[str, Any]] = scientist.do("GET", "/jobs/?limit=50")["results"]
        return next((job for job in reversed(listed) if job["schedule"] == made["id"]), None)

    ran = eventually(first, "the job of the first due time", LONGEST)
    assert scientist.send("DELETE", f"/schedules/{made['id']}/").status == 204
    assert datetime.fromisoformat(ran["created_at"]) >= due
    path = f"/jobs/{ran['id']}/"
    eventually(lambda: scientist.do("GET", path)["state"] == "succeeded", "the end of that job", LONGEST)


def test_a_job_is_made_once_for_a_due_time_at_which_nobody_was_there(
    berth: Berth, scientist: Caller, ready: None
) -> None:
    due = (datetime.now(UTC) + timedelta(seconds=75)).replace(second=0, microsecond=0)
    job = {"template": "python", "size": "small", "command": ["python", "-c", "print('hello')"]}
    cron = f"{due.minute} {due.hour} {due.day} {due.month} *"
    made = scientist.do("POST", "/schedules/", {"job": job, "cron": cron, "name": "nightly"})
    assert datetime.fromisoformat(made["next_run_at"]) == due
    with berth.frozen("worker", "beat", "agent"):
        while datetime.now(UTC) < due + timedelta(seconds=8):
            time.sleep(0.5)
        assert scientist.do("GET", f"/schedules/{made['id']}/")["last_job"] is None

    def run() -> dict[str, Any] | None:
        found: dict[str, Any] = scientist.do("GET", f"/schedules/{made['id']}/")
        return found if found["last_job"] else None

    found = eventually(run, "the job of the due time", LONGEST)
    assert datetime.fromisoformat(found["next_run_at"]).year == due.year + 1
    page = f"/jobs/schedules/{made['id']}/"
    cookie = berth.sign_in("scientist")

    def succeeded() -> bool:
        shown = berth.server.send("GET", "localhost", page, Cookie=cookie).body.decode()
        assert shown.count('id="row-') == 1
        return "Succeeded" in shown

    eventually(succeeded, "the end of that job", LONGEST)
    assert scientist.send("DELETE", f"/schedules/{made['id']}/").status == 204
