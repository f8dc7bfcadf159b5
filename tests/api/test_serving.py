"""A workspace that all jobs of its team log to, through the API."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.conftest import Caller, assert_problem

Callers = Callable[..., Caller]


@pytest.fixture
def mlflow(make_workspace: Callable[..., Any], settle: Callable[[], None], people: Any, settings: Any) -> Any:
    settings.SERVICES_PORT = 8006
    made = make_workspace(people.luis, template="mlflow", name="experiments")
    settle()
    made.refresh_from_db()
    return made


def test_a_lead_gives_it_and_takes_it_back(mlflow: Any, people: Any, caller: Callers, vera: Caller) -> None:
    luis, path = caller(people.luis), f"/workspaces/{mlflow.pk}/serve-team/"
    assert luis.get(f"/workspaces/{mlflow.pk}/").json()["serves_team"] is None
    assert_problem(vera.put(path, None), 403)
    assert_problem(caller(people.oda).put(path, None), 404)
    for _ in range(2):
        answer = luis.put(path, None)
        assert (answer.status_code, answer.json()["serves_team"]) == (200, "mlflow")
    assert_problem(vera.delete(path), 403)
    assert_problem(vera.get(f"/workspaces/{mlflow.pk}/"), 403)
    for _ in range(2):
        assert luis.delete(path).status_code == 204
    assert luis.get(f"/workspaces/{mlflow.pk}/").json()["serves_team"] is None


def test_a_second_one_is_a_conflict(mlflow: Any, make_workspace: Any, people: Any, caller: Callers) -> None:
    luis, second = caller(people.luis), make_workspace(people.luis, template="mlflow")
    luis.put(f"/workspaces/{mlflow.pk}/serve-team/", None)
    problem = assert_problem(luis.put(f"/workspaces/{second.pk}/serve-team/", None), 409)
    assert problem["code"] == "team_is_served"


def test_a_job_says_where_it_logs_to(
    mlflow: Any, people: Any, caller: Callers, vera: Caller, tick: Callable[..., None], settle: Any
) -> None:
    luis = caller(people.luis)
    luis.put(f"/workspaces/{mlflow.pk}/serve-team/", None)
    asked = {"template": "python", "command": ["true"]}
    first = vera.post("/jobs/", asked).json()["id"]
    tick()
    assert luis.post(f"/workspaces/{mlflow.pk}/stop/").status_code == 202
    settle()
    second = vera.post("/jobs/", asked).json()["id"]
    tick()
    told = [vera.get(f"/jobs/{pk}/").json()["attempts"][0] for pk in (first, second)]
    assert [one["tracking"] for one in told] == [mlflow.pk, None]
    assert [one["tracking_note"] for one in told] == ["", "experiments was stopped when it began."]
