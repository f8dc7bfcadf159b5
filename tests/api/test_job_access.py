"""Who may do what with a job through the API."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.conftest import Caller, assert_problem

BODY = {"template": "python", "command": ["python", "train.py"]}
SEEN = ["", "logs/", "metrics/"]
EVERYTHING = [("GET", part) for part in [*SEEN, "file/"]] + [("POST", "cancel/"), ("POST", "rerun/")]


@pytest.fixture
def path(vera: Caller, catalog: None) -> str:
    """Of a job of vera's."""
    return f"/jobs/{vera.post('/jobs/', BODY).json()['id']}/"


@pytest.mark.parametrize(("method", "part"), EVERYTHING)
def test_strangers_learn_nothing_and_members_are_refused(
    people: Any, bo: Any, caller: Callable[..., Caller], path: str, method: str, part: str
) -> None:
    assert_problem(caller(bo).send(method, path + part), 403)
    assert_problem(caller(people.oda).send(method, path + part), 404)
    assert_problem(Caller("").send(method, path + part), 401)


@pytest.mark.parametrize(("method", "part"), EVERYTHING)
def test_the_owner_and_the_lead_may_do_all(
    people: Any, vera: Caller, caller: Callable[..., Caller], path: str, method: str, part: str
) -> None:
    for who in (vera, caller(people.luis)):
        assert who.send(method, path + part).status_code in (200, 201, 202)


def test_a_lead_runs_it_again_as_their_own(people: Any, caller: Callable[..., Caller], path: str) -> None:
    assert caller(people.luis).post(f"{path}rerun/").json()["owner"] == "luis"


def test_staff_see_and_cancel_but_do_not_read_or_repeat(people: Any, caller: Callable[..., Caller], path: str) -> None:
    ada = caller(people.ada)
    for part in SEEN:
        assert ada.get(path + part).status_code == 200
    for method, part in (("GET", "file/"), ("POST", "rerun/")):
        assert_problem(ada.send(method, path + part), 403)
    assert ada.post(f"{path}cancel/").status_code == 202


@pytest.mark.parametrize(("method", "part"), [("POST", ""), ("POST", "cancel/"), ("POST", "rerun/")])
def test_writing_needs_the_write_scope(
    people: Any, caller: Callable[..., Caller], path: str, method: str, part: str
) -> None:
    reader = caller(people.vera, scopes=("jobs:read",))
    where = path + part if part else "/jobs/"
    problem = assert_problem(reader.send(method, where, None if part else BODY), 403)
    assert (problem["code"], "jobs:write" in problem["detail"]) == ("missing_scope", True)
    for readable in ("/jobs/", *(path + one for one in SEEN)):
        assert reader.get(readable).status_code == 200


def test_scopes_of_other_things_open_no_job(people: Any, caller: Callable[..., Caller], path: str) -> None:
    other = caller(people.vera, scopes=("workspaces:write", "usage:read", "admin:write"))
    for readable in ("/jobs/", path, f"{path}file/"):
        assert_problem(other.get(readable), 403)
    assert_problem(other.post("/jobs/", BODY), 403)
