"""Saved configurations through the API."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from environments.models import Configuration, Dataset, TemplateVersion, Workspace
from environments.schema import completed
from tests.api.conftest import Caller, assert_problem

pytestmark = pytest.mark.django_db
GIT = {"url": "https://git.example.org/vision/churn.git", "ref": "main"}
BODY = {
    "name": "churn",
    "template": "jupyter-python",
    "size": "medium",
    "parameters": {"rounds": 7},
    "env": {"A": "1"},
    "git": GIT,
    "volumes": ["numbers"],
    "auto_stop_minutes": 90,
}


@pytest.fixture(autouse=True)
def _parameters(catalog: None) -> None:
    Dataset.objects.create(name="numbers", summary="Many numbers", teams=["vision"])
    TemplateVersion.objects.update(parameters=completed({"properties": {"rounds": {"type": "integer"}}}))


def test_save_look_rename_launch_delete(vera: Caller) -> None:
    made = vera.post("/configurations/", BODY)
    assert made.status_code == 201
    saved = made.json()
    assert {name: saved[name] for name in BODY} == BODY
    assert (saved["version"], saved["team"], saved["preferred"]) == (None, None, False)
    path = f"/configurations/{saved['id']}/"
    assert vera.get(path).json() == saved
    assert vera.patch(path, {"name": "other"}).json()["name"] == "other"
    assert [row["name"] for row in vera.get("/configurations/").json()["results"]] == ["other"]
    launched = vera.post(f"{path}launch/")
    assert (launched.status_code, launched.json()["size"]) == (201, "medium")
    workspace = Workspace.objects.get()
    assert (workspace.parameters, workspace.environment) == ({"rounds": 7}, {"A": "1"})
    assert (workspace.git_url, workspace.git_ref) == (GIT["url"], GIT["ref"])
    assert vera.delete(path).status_code == 204
    assert_problem(vera.get(path), 404)


def test_a_key_launches_once(vera: Caller) -> None:
    pk = vera.post("/configurations/", BODY).json()["id"]
    answers = [vera.post(f"/configurations/{pk}/launch/", **{"Idempotency-Key": "k"}).json()["id"] for _ in range(2)]
    assert answers[0] == answers[1]
    assert Workspace.objects.count() == 1


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x" * 61}, "name"),
        ({"template": "nope"}, "template"),
        ({"size": "vast"}, "size"),
        ({"parameters": {"rounds": "many"}}, "parameters.rounds"),
        ({"parameters": {"other": 1}}, "parameters.other"),
        ({"git": {"url": "file:///etc"}}, "git.url"),
        ({"env": {"1": "x"}}, "env"),
        ({"preferred": True}, "preferred"),
    ],
)
def test_what_could_not_be_launched_is_not_saved(vera: Caller, values: dict[str, Any], field: str) -> None:
    assert_problem(vera.post("/configurations/", BODY | values), 422, field)
    assert not Configuration.objects.exists()


def test_a_taken_name_is_refused_when_renaming(vera: Caller) -> None:
    pk = vera.post("/configurations/", BODY).json()["id"]
    vera.post("/configurations/", BODY | {"name": "taken"})
    for wrong in ("taken", "a\tb"):
        assert_problem(vera.patch(f"/configurations/{pk}/", {"name": wrong}), 422, "name")
    assert_problem(vera.patch(f"/configurations/{pk}/", {"size": "small"}), 422, "name", "size")


def test_nobody_else_knows_of_it(people: Any, vera: Caller, caller: Callable[..., Caller]) -> None:
    path = f"/configurations/{vera.post('/configurations/', BODY).json()['id']}/"
    for other in (caller(people.luis), caller(people.oda), caller(people.ada)):
        assert other.get("/configurations/").json()["results"] == []
        assert_problem(other.get(path), 404)
        assert_problem(other.patch(path, {"name": "x"}), 404)
        assert_problem(other.delete(path), 404)
        assert_problem(other.post(f"{path}launch/"), 404)
    reader = caller(people.vera, ("workspaces:read",))
    assert reader.get(path).status_code == 200
    assert_problem(reader.post(f"{path}launch/"), 403)
    assert_problem(reader.post("/configurations/", BODY), 403)
    assert not Workspace.objects.exists()


def test_a_constant_number_of_queries(vera: Caller) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert vera.get("/configurations/").status_code == 200
        return len(seen)

    vera.post("/configurations/", BODY)
    one = queries()
    for n in range(10):
        vera.post("/configurations/", BODY | {"name": f"c{n}"})
    assert queries() == one
