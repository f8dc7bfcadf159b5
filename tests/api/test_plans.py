"""Sweeps and schedules through the API."""

from collections.abc import Callable
from typing import Any

import pytest

from environments.models import Dataset
from jobs.job_file import MEDIA_TYPE
from jobs.models import Job
from jobs.plan_models import Schedule, Sweep
from jobs.states import J
from tests.api.conftest import Caller, assert_problem
from tests.conftest import People
from tests.jobs.data import iris
from tests.jobs.plans import make_schedule, make_sweep, tell

JOB: dict[str, Any] = {"template": "python", "command": ["python", "train.py", "--lr={parameters.lr}"], "size": "small"}
SWEEP: dict[str, Any] = {
    "job": JOB,
    "space": {"lr": [0.1, 0.01], "depth": [3, 5]},
    "parallelism": 2,
    "metric": "loss",
    "goal": "min",
}
SCHEDULE: dict[str, Any] = {"job": JOB | {"parameters": {"lr": 1}}, "cron": "0 6 * * 1-5", "time_zone": "Europe/Berlin"}
SWEEP_FIELDS = {
    "id", "name", "owner", "team", "kind", "space", "count", "seed", "parallelism", "metric", "goal", "progress",
    "cancelled_by", "created_at",
}  # fmt: skip


def test_a_sweep_from_submission_to_its_end(vera: Caller, catalog: None) -> None:
    made = vera.post("/sweeps/", SWEEP)
    assert made.status_code == 201, made.content
    sweep = made.json()
    assert set(sweep) == SWEEP_FIELDS | {"points", "best_point"}
    assert (sweep["count"], sweep["name"], sweep["kind"], sweep["best_point"]) == (4, "train.py", "grid", None)
    assert sweep["progress"] == {"held": 2, "running": 2, "succeeded": 0, "ended": 0}
    assert [point["parameters"] for point in sweep["points"]][1] == {"depth": 5, "lr": 0.1}
    assert sweep["points"][3]["message"] == "Point 4 of 4 waits for its turn: 2 run at once"
    for point, value in zip(sweep["points"], (0.5, 0.2, 0.9), strict=False):
        tell(Job.objects.get(pk=point["job"]), 1.0, value)
    again = vera.get(f"/sweeps/{sweep['id'].lower()}/").json()
    assert again["best_point"] == 2
    assert [(point["best"], point["last"]) for point in again["points"]][1:] == [(0.2, 0.2), (0.9, 0.9), (None, None)]
    [listed] = vera.get("/sweeps/").json()["results"]
    assert set(listed) == SWEEP_FIELDS
    ended = vera.post(f"/sweeps/{sweep['id']}/cancel/")
    assert (ended.status_code, ended.json()["cancelled_by"]) == (202, "vera")
    assert {point["state"] for point in ended.json()["points"]} == {J.CANCELLED}
    assert vera.post(f"/sweeps/{sweep['id']}/cancel/").status_code == 202


SWEEP_FILE = """\
job:
  template: python
  command: [python, train.py, "--lr={parameters.lr}"]
  size: small
space:
  lr: [0.1, 0.01]
"""
SCHEDULE_FILE = """\
job:
  template: python
  command: [python, report.py]
cron: 0 6 * * 1-5
time_zone: Europe/Berlin
"""


def test_a_sweep_and_a_schedule_are_files_too(vera: Caller, catalog: None) -> None:
    for path, text in (("/sweeps/", SWEEP_FILE), ("/schedules/", SCHEDULE_FILE)):
        key = {"Idempotency-Key": f"build-7-{path}"}
        made, again = (vera.post(path, text, kind=MEDIA_TYPE, **key) for _ in range(2))
        assert made.status_code == 201, made.content
        assert again.json() == made.json()
    assert Sweep.objects.get().space == {"lr": [0.1, 0.01]}
    made = Schedule.objects.get()
    changed = vera.send("PATCH", f"/schedules/{made.pk}/", "cron: 0 7 * * *", kind=MEDIA_TYPE)
    assert changed.json()["cron"] == "0 7 * * *"


@pytest.mark.parametrize(
    ("path", "text", "field", "line"),
    [
        ("/sweeps/", SWEEP_FILE.replace("small", "huge"), "job.size", 4),
        ("/sweeps/", SWEEP_FILE.replace("python\n", "none\n"), "job.template", 2),
        ("/sweeps/", SWEEP_FILE.replace("[0.1, 0.01]", "{min: 2}"), "space.lr", 6),
        ("/sweeps/", SWEEP_FILE + "colour: red", "colour", 7),
        ("/sweeps/", SWEEP_FILE + "parallelism: 0", "parallelism", 7),
        ("/schedules/", SCHEDULE_FILE.replace("python\n", "python\n  size: huge\n"), "job.size", 3),
        ("/schedules/", SCHEDULE_FILE.replace("0 6", "0 61"), "cron", 4),
        ("/schedules/", SCHEDULE_FILE.replace("Berlin", "Olympus"), "time_zone", 5),
        ("/schedules/", SCHEDULE_FILE + "overlap: perhaps", "overlap", 6),
    ],
)
def test_what_a_file_is_refused_for_is_named_with_its_line(
    vera: Caller, catalog: None, path: str, text: str, field: str, line: int
) -> None:
    problem = assert_problem(vera.post(path, text, kind=MEDIA_TYPE), 422, field)
    assert problem["errors"][field][0].startswith(f"Line {line}: ")
    assert not Sweep.objects.exists()
    assert not Schedule.objects.exists()


def test_what_is_changed_by_a_file_is_refused_by_line_too(vera: Caller, people: People, catalog: None) -> None:
    made = make_schedule(people.vera)
    text = "paused: false\ncron: nonsense\n"
    problem = assert_problem(vera.send("PATCH", f"/schedules/{made.pk}/", text, kind=MEDIA_TYPE), 422, "cron")
    assert problem["detail"].startswith("Line 2: ")


def test_random_points_are_the_same_again(vera: Caller, catalog: None) -> None:
    body = SWEEP | {"kind": "random", "space": {"lr": {"min": 0.001, "max": 1, "log": True}}, "count": 5, "seed": 3}
    first, second = (vera.post("/sweeps/", body).json()["points"] for _ in range(2))
    assert [point["parameters"] for point in first] == [point["parameters"] for point in second]
    assert len(first) == 5


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"space": {}}, "space"),
        ({"space": []}, "space"),
        ({"space": {"lr": 1}}, "space.lr"),
        ({"space": {"lr": {"min": 0, "max": 1}}}, "space.lr"),
        ({"space": {"lr": [{"a": 1}]}}, "space.lr"),
        ({"space": {"lr": [None]}}, "space.lr"),
        ({"kind": "random"}, "count"),
        ({"kind": "random", "count": 0}, "count"),
        ({"kind": "random", "count": 1001}, "count"),
        ({"kind": "spiral"}, "kind"),
        ({"seed": "x"}, "seed"),
        ({"parallelism": 0}, "parallelism"),
        ({"goal": "best"}, "goal"),
        ({"metric": 7}, "metric"),
        ({"job": JOB | {"template": "nothing"}}, "job.template"),
        ({"job": JOB | {"size": "huge"}}, "job.size"),
        ({"job": JOB | {"colour": "red"}}, "job.colour"),
        ({"job": JOB | {"after": ["01ARZ3NDEKTSV4RRFFQ69G5FAV"]}}, "job.after"),
        ({"job": JOB | {"after_condition": "perhaps"}}, "job.after_condition"),
        ({"job": "python"}, "job"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_bad_sweep_names_its_field(vera: Caller, catalog: None, body: dict[str, Any], field: str) -> None:
    assert_problem(vera.post("/sweeps/", SWEEP | body), 422, field)
    assert not Job.objects.exists()


def test_a_schedule_from_creation_to_its_end(vera: Caller, catalog: None) -> None:
    made = vera.post("/schedules/", SCHEDULE | {"overlap": "queue", "name": "nightly"})
    assert made.status_code == 201, made.content
    schedule = made.json()
    assert (schedule["cron"], schedule["time_zone"], schedule["overlap"]) == ("0 6 * * 1-5", "Europe/Berlin", "queue")
    assert len(schedule["upcoming"]) == 5
    assert schedule["next_run_at"] == schedule["upcoming"][0]
    assert (schedule["command"], schedule["template"], schedule["last_job"]) == (JOB["command"], "python", None)
    at = f"/schedules/{schedule['id']}/"
    paused = vera.patch(at, {"paused": True}).json()
    assert (paused["paused"], paused["next_run_at"], paused["upcoming"]) == (True, None, [])
    changed = vera.patch(at, {"paused": False, "cron": "30 7 * * *", "job": SCHEDULE["job"] | {"command": ["true"]}})
    assert (changed.status_code, changed.json()["cron"], changed.json()["command"]) == (200, "30 7 * * *", ["true"])
    assert (changed.json()["overlap"], changed.json()["name"], changed.json()["paused"]) == ("queue", "nightly", False)
    assert vera.get(at).json() == changed.json()
    assert [one["id"] for one in vera.get("/schedules/").json()["results"]] == [schedule["id"]]
    assert vera.delete(at).status_code == 204
    assert_problem(vera.get(at), 404)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"cron": "nonsense"}, "cron"),
        ({"cron": "0 0 30 2 *"}, "cron"),
        ({"cron": 5}, "cron"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"overlap": "perhaps"}, "overlap"),
        ({"missed": "perhaps"}, "missed"),
        ({"paused": "perhaps"}, "paused"),
        ({"job": JOB}, "job.command"),
        ({"job": JOB | {"parameters": {"lr": 1}, "team": "risk"}}, "job.team"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_bad_schedule_names_its_field(vera: Caller, catalog: None, body: dict[str, Any], field: str) -> None:
    assert_problem(vera.post("/schedules/", SCHEDULE | body), 422, field)
    assert not Schedule.objects.exists()
    made = vera.post("/schedules/", SCHEDULE).json()
    assert_problem(vera.patch(f"/schedules/{made['id']}/", body), 422, field)
    assert vera.get(f"/schedules/{made['id']}/").json() == made


FOLLOWING = """\
job:
  template: python
  command: [python, train.py]
  inputs: [iris]
on_change: iris
"""


def test_a_schedule_that_follows_a_dataset(vera: Caller, catalog: None) -> None:
    iris()
    made = vera.post("/schedules/", FOLLOWING, kind=MEDIA_TYPE)
    assert made.status_code == 201, made.content
    schedule = made.json()
    assert (schedule["cron"], schedule["on_change"], schedule["still_minutes"]) == ("", "iris", 10)
    assert (schedule["next_run_at"], schedule["upcoming"]) == (None, [])
    at = f"/schedules/{schedule['id']}/"
    both = vera.patch(at, {"cron": "0 6 * * *", "still_minutes": 0}).json()
    assert (both["on_change"], both["still_minutes"], both["next_run_at"]) == ("iris", 0, both["upcoming"][0])
    timed = vera.patch(at, {"on_change": None}).json()
    assert (timed["on_change"], timed["cron"]) == (None, "0 6 * * *")
    assert_problem(vera.patch(at, {"cron": ""}), 422, "cron")
    back = vera.patch(at, {"cron": "", "on_change": "iris"}).json()
    assert (back["cron"], back["on_change"], back["next_run_at"]) == ("", "iris", None)
    assert vera.patch(at, {"paused": True}).json()["paused"]
    assert not vera.patch(at, {"paused": False}).json()["paused"]


@pytest.mark.parametrize(
    ("text", "field", "line"),
    [
        (FOLLOWING.replace("on_change: iris", "on_change: rides"), "on_change", 5),
        (FOLLOWING.replace("on_change: iris", "on_change: secret"), "on_change", 5),
        (FOLLOWING.replace("on_change: iris", "on_change: [iris]"), "on_change", 5),
        (FOLLOWING + "still_minutes: 1441", "still_minutes", 6),
        (FOLLOWING + "still_minutes: soon", "still_minutes", 6),
        (FOLLOWING + "cron: 0 61 * * *", "cron", 6),
    ],
)
def test_what_follows_no_dataset_is_named_with_its_line(
    vera: Caller, catalog: None, text: str, field: str, line: int
) -> None:
    iris()
    Dataset.objects.create(name="secret", summary="s", teams=["risk"])
    problem = assert_problem(vera.post("/schedules/", text, kind=MEDIA_TYPE), 422, field)
    assert problem["errors"][field][0].startswith(f"Line {line}: ")
    assert not Schedule.objects.exists()


def test_a_schedule_without_a_time_or_a_dataset_is_refused(vera: Caller, catalog: None) -> None:
    assert_problem(vera.post("/schedules/", {"job": SCHEDULE["job"]}), 422, "cron")
    assert_problem(vera.post("/schedules/", {"job": SCHEDULE["job"], "on_change": None}), 422, "cron")
    assert not Schedule.objects.exists()


def test_who_may_do_what(people: People, catalog: None, bo: Any, caller: Callable[..., Caller]) -> None:
    sweep, schedule = make_sweep(people.vera), make_schedule(people.vera)
    for user, seen, changed, ended in (
        (people.oda, 404, 404, 404),
        (bo, 403, 403, 403),
        (people.luis, 200, 403, 202),
        (people.ada, 200, 403, 202),
    ):
        one = caller(user)
        assert one.get(f"/sweeps/{sweep.pk}/").status_code == seen
        assert one.get(f"/schedules/{schedule.pk}/").status_code == seen
        assert one.patch(f"/schedules/{schedule.pk}/", {"cron": "0 7 * * *"}).status_code == changed
        assert one.patch(f"/schedules/{schedule.pk}/", {"paused": True}).status_code == (200 if ended == 202 else ended)
        assert one.post(f"/sweeps/{sweep.pk}/cancel/").status_code == ended
        assert len(one.get("/sweeps/").json()["results"]) == (seen == 200)
        assert len(one.get("/schedules/").json()["results"]) == (seen == 200)
    assert caller(people.luis).delete(f"/schedules/{schedule.pk}/").status_code == 204


def test_scopes_are_those_of_jobs(people: People, catalog: None, caller: Callable[..., Caller]) -> None:
    reader, other = caller(people.vera, ("jobs:read",)), caller(people.vera, ("workspaces:write",))
    for path, body in (("/sweeps/", SWEEP), ("/schedules/", SCHEDULE)):
        assert reader.get(path).status_code == 200
        assert_problem(reader.post(path, body), 403)
        assert_problem(other.get(path), 403)
    assert not Sweep.objects.exists()


def test_the_same_key_makes_it_once(vera: Caller, catalog: None) -> None:
    key = {"Idempotency-Key": "one"}
    made = [vera.post("/sweeps/", SWEEP, **key).json()["id"] for _ in range(2)]
    assert made[0] == made[1]
    assert Sweep.objects.count() == 1


def test_lists_cost_a_fixed_number_of_queries(
    people: People, vera: Caller, catalog: None, django_assert_max_num_queries: Any
) -> None:
    for _ in range(5):
        made = make_sweep(people.vera)
        make_schedule(people.vera)
    for path in ("/sweeps/", "/schedules/", f"/sweeps/{made.pk}/"):
        with django_assert_max_num_queries(12):
            assert vera.get(path).status_code == 200
