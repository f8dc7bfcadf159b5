"""Models through the API: kept, listed, downloaded, deleted, and by whom."""

import io
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from jobs import model_files
from jobs.model_models import ModelVersion
from jobs.models import Job
from tests.api.conftest import Caller, assert_problem
from tests.conftest import People
from tests.jobs.leaving import Leaving, folder_of

FILES = {"outputs/model.pkl": "weights", "outputs/net/a": "1", "outputs/net/b/c": "2"}
Make = Callable[..., Any]


def body(job: Job, **values: str) -> dict[str, str]:
    return {"job": job.pk, "path": "outputs/model.pkl"} | values


@pytest.fixture
def kept(vera: Caller, leaving: Leaving) -> Make:
    """A version of vera's that is ready, as the API shows it."""

    def make(path: str = "outputs/model.pkl", **job: Any) -> Any:
        made = vera.post("/models/", body(leaving(FILES, **job), name="churn-model", path=path)).json()
        version = ModelVersion.objects.get(number=made["number"])
        folder_of(version.volume, leaving.volumes)
        assert model_files.fill_one()
        return vera.get(f"/models/churn-model/versions/{made['number']}/").json()

    return make


def test_a_model_from_its_job_to_the_job_that_used_it(vera: Caller, kept: Make) -> None:
    made = kept(parameters={"lr": 0.1}, inputs=[], git_url="https://git.example.org/team/churn.git")
    assert (made["reference"], made["state"], made["team"], made["size"]) == ("churn-model:1", "ready", "vision", 7)
    assert made["lineage"] | {} == {
        "git_url": "https://git.example.org/team/churn.git",
        "git_commit": "",
        "code_hash": "",
        "parameters": {"lr": 0.1},
        "inputs": [],
        "input_versions": [],
        "models": [],
    }
    assert made["used_by"] == []
    using = {"template": "python", "command": ["predict"], "models": ["churn-model:latest"]}
    job = vera.post("/jobs/", using).json()
    assert job["record"]["models"] == ["churn-model:1"]
    assert vera.get("/models/churn-model/versions/1/").json()["used_by"] == [job["id"]]
    assert_problem(vera.delete("/models/churn-model/versions/1/"), 409)
    vera.post(f"/jobs/{job['id']}/cancel/")
    Job.objects.filter(pk=job["id"]).update(state="cancelled", begin_at=None, ended_at=made["created_at"], hold="")
    assert vera.delete("/models/churn-model/versions/1/").status_code == 204
    left = vera.get("/models/churn-model/versions/1/").json()
    assert (left["state"], left["download_url"], left["used_by"]) == ("deleted", None, [job["id"]])


def test_versions_follow_each_other(vera: Caller, kept: Make, leaving: Leaving) -> None:
    kept()
    job = leaving(FILES)
    second = vera.post("/models/churn-model/versions/", body(job, note="more data"))
    assert (second.status_code, second.json()["number"], second.json()["note"]) == (201, 2, "more data")
    page = vera.get("/models/churn-model/versions/?limit=1").json()
    assert [one["number"] for one in page["results"]] == [2]
    assert page["next"]
    (model,) = vera.get("/models/").json()["results"]
    assert (model["name"], model["team"], model["versions"], model["latest"]) == ("churn-model", "vision", 2, 1)
    assert vera.get("/models/churn-model/").json() == model
    assert_problem(vera.post("/models/nope/versions/", body(job)), 404)


def test_a_file_and_a_folder_are_downloaded(vera: Caller, kept: Make) -> None:
    one, folder = kept(), kept("outputs/net")
    answer = vera.get(one["download_url"].partition("/api/v1")[2])
    assert b"".join(answer) == b"weights"
    assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"
    zipped = b"".join(vera.get(folder["download_url"].partition("/api/v1")[2]))
    with zipfile.ZipFile(io.BytesIO(zipped)) as content:
        assert {name: content.read(name).decode() for name in content.namelist()} == {"a": "1", "b/c": "2"}


def test_the_team_sees_and_uses_it_and_strangers_learn_nothing(
    people: People, bo: Any, caller: Callable[..., Caller], kept: Make
) -> None:
    kept()
    one = "/models/churn-model/versions/1/"
    for path in ("/models/churn-model/", "/models/churn-model/versions/", one, f"{one}download/"):
        assert caller(bo).get(path).status_code == 200
        assert_problem(caller(people.oda).get(path), 404)
        assert_problem(caller(people.vera, scopes=("workspaces:write",)).get(path), 403)
    assert caller(people.oda).get("/models/").json()["results"] == []
    using = {"template": "python", "command": ["predict"], "models": ["churn-model:1"]}
    assert caller(bo).post("/jobs/", using).status_code == 201
    assert_problem(caller(people.oda).post("/jobs/", using), 422, "models")


def test_staff_see_it_and_do_not_read_it(people: People, caller: Callable[..., Caller], kept: Make) -> None:
    kept()
    ada = caller(people.ada)
    assert ada.get("/models/churn-model/versions/1/").status_code == 200
    assert_problem(ada.get("/models/churn-model/versions/1/download/"), 403)
    assert_problem(ada.delete("/models/churn-model/versions/1/"), 403)


def test_only_who_reads_the_job_keeps_it_and_only_its_keeper_or_the_lead_deletes(
    people: People,
    bo: Any,
    caller: Callable[..., Caller],
    kept: Make,
    leaving: Leaving,
) -> None:
    kept()
    job = leaving(FILES)
    for stranger in (bo, people.oda):
        assert_problem(caller(stranger).post("/models/", body(job, name="mine")), 422, "job")
    assert caller(people.luis).post("/models/", body(job, name="churn-model")).json()["number"] == 2
    assert_problem(caller(bo).delete("/models/churn-model/versions/1/"), 403)
    assert_problem(caller(people.oda).delete("/models/churn-model/versions/1/"), 404)
    assert_problem(caller(people.vera).delete("/models/churn-model/versions/2/"), 403)
    assert caller(people.luis).delete("/models/churn-model/versions/1/").status_code == 204


def test_where_two_teams_have_one_of_that_name_the_team_is_asked_for(people: People, vera: Caller, kept: Make) -> None:
    from jobs.model_models import Model
    from portal.accounts.actions import add_member
    from portal.accounts.models import Role, Team

    kept()
    risk = Team.objects.get(slug="risk")
    Model.objects.create(team=risk, name="churn-model", created_by=people.oda)
    assert vera.get("/models/churn-model/").status_code == 200
    add_member(risk, people.vera, Role.MEMBER, actor="test")
    assert_problem(vera.get("/models/churn-model/"), 422, "team")
    assert vera.get("/models/churn-model/?team=risk").json()["versions"] == 0
    assert vera.get("/models/churn-model/?team=vision").json()["versions"] == 1


def test_a_bad_body_names_its_field(vera: Caller, leaving: Leaving) -> None:
    job = leaving(FILES)
    for wrong, field in (
        (body(job), "name"),
        (body(job, name="Churn"), "name"),
        (body(job, name="churn", path="nope"), "path"),
        (body(job, name="churn") | {"job": "nope"}, "job"),
        (body(job, name="churn", colour="red"), "colour"),
    ):
        assert_problem(vera.post("/models/", wrong), 422, field)


def test_the_same_key_keeps_it_once(vera: Caller, leaving: Leaving) -> None:
    job = leaving(FILES)
    key = {"Idempotency-Key": "one"}
    made = [vera.post("/models/", body(job, name="churn-model"), **key).json()["number"] for _ in range(2)]
    assert made == [1, 1]
    assert ModelVersion.objects.count() == 1


def test_a_job_file_may_name_models(vera: Caller, kept: Make) -> None:
    kept()
    asked = {
        "template": "python",
        "command": ["predict"],
        "models": ["churn-model:1"],
        "model": {"name": "second", "path": "outputs/second.pkl"},
    }
    made = vera.post("/jobs/", asked).json()["id"]
    written = vera.get(f"/jobs/{made}/file/").content.decode()
    assert "models:\n  - churn-model:1\n" in written
    assert "model:\n  name: second\n  path: outputs/second.pkl\n" in written
    again = vera.post("/jobs/", written, kind="application/yaml")
    assert again.json()["record"]["models"] == ["churn-model:1"]
    wrong = written.replace("churn-model:1", "churn-model:9")
    assert "Line" in assert_problem(vera.post("/jobs/", wrong, kind="application/yaml"), 422, "models")["detail"]


def test_lists_cost_a_fixed_number_of_queries(
    vera: Caller,
    leaving: Leaving,
    django_assert_max_num_queries: Any,
) -> None:
    job = leaving(FILES)
    for number in range(4):
        for name in ("churn-model", f"other-{number}"):
            assert vera.post("/models/", body(job, name=name)).status_code == 201
    for path in ("/models/", "/models/churn-model/versions/"):
        with django_assert_max_num_queries(8):
            assert vera.get(path).status_code == 200


def test_what_waits_for_its_folder_is_not_downloaded(vera: Caller, leaving: Leaving) -> None:
    vera.post("/models/", body(leaving(FILES), name="churn-model"))
    answer = assert_problem(vera.get("/models/churn-model/versions/1/download/"), 409)
    assert answer["code"] == "model_waiting"
