"""Jobs through the API, from submission to the end."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from environments.models import Dataset
from jobs import actions
from jobs.job_file import MEDIA_TYPE
from jobs.models import Attempt, Job, Scalar
from jobs.submission import Submission
from portal.accounts.models import ApiToken
from portal.api.throttles import ScopedThrottle
from portal.compute.logs import ChunkWriter
from portal.compute.models import Allocation, Sample
from portal.compute.series import POINTS
from portal.compute.specs import container_name
from portal.compute.states import Phase
from portal.lib import clock
from runtimes.base import LogLine
from runtimes.fake_engine import FakeEngine
from tests.api.conftest import Caller, assert_problem
from tests.jobs.data import iris, looked
from tests.jobs.named import PATTERNS, TRAIN, allow

FIELDS = {
    "id", "name", "state", "reason", "url", "attempt", "attempts", "exit_code", "progress", "priority", "size", "team",
    "project", "owner", "cost", "queue", "created_at", "started_at", "ended_at", "artifacts_state", "record",
    "after", "sweep", "point", "schedule",
}  # fmt: skip
RECORD = {
    "template", "version", "image", "image_digest", "command", "git_url", "git_ref", "git_commit", "code_hash",
    "workspace", "folder", "parameters", "env", "secrets", "inputs", "input_versions", "changed_inputs", "models",
    "outputs", "size", "rerun_of",
}  # fmt: skip
BODY = {"template": "python", "command": ["python", "train.py"]}
Tick = Callable[..., None]
NOTHING = {"amount": "0.0000", "currency": "EUR"}


@pytest.fixture
def tick(settle: Callable[..., None]) -> Tick:
    """Workers, agent and the tick, until nothing is left to do."""

    def run(rounds: int = 3) -> None:
        for _ in range(rounds):
            actions.settle_due()
            actions.begin_due()
            settle(3)

    return run


def submitted(caller: Caller, **values: Any) -> dict[str, Any]:
    response = caller.post("/jobs/", BODY | values)
    assert response.status_code == 201, response.content
    answer: dict[str, Any] = response.json()
    return answer


def end(engine: FakeEngine, job: dict[str, Any], exit_code: int) -> None:
    """Its container ends now."""
    engine.end(container_name(Allocation.objects.get(owner_id=job["id"], ended_at=None)), exit_code)


def test_a_job_lives_from_submission_to_success(
    vera: Caller, catalog: None, tick: Tick, fake_engine: FakeEngine
) -> None:
    made = submitted(
        vera,
        name="train churn",
        size="medium",
        parameters={"lr": 0.1},
        env={"COLOUR": "secret blue"},
        outputs=["model"],
    )
    path = f"/jobs/{made['id']}/"
    assert (set(made), set(made["record"])) == (FIELDS, RECORD)
    assert (made["state"], made["attempt"], made["exit_code"]) == ("queued", 1, None)
    assert made["queue"] == {"position": 1, "eta_seconds": None}
    waits = "Needs 2 cores and 4 GB; 64 cores and 256.0 GB are free. Number 1 in line."
    assert made["reason"] == {"code": "waiting", "message": waits, "next": None}
    assert made["cost"] == {"estimate": None, "so_far": NOTHING, "final": None}
    assert (made["team"], made["owner"], made["size"]) == ("vision", "vera", "medium")
    assert made["url"] == f"http://localhost:8000/jobs/{made['id']}/"
    record = made["record"]
    assert (record["template"], record["version"], record["image_digest"]) == (
        "python",
        "2026.11",
        "sha256:" + "a" * 64,
    )
    assert (record["env"], record["parameters"], record["outputs"]) == (["COLOUR"], {"lr": 0.1}, ["model"])
    assert "secret blue" not in str(made)
    tick()
    running = vera.get(path).json()
    assert (running["state"], running["queue"], running["reason"]) == ("running", None, None)
    assert running["started_at"] is not None
    end(fake_engine, made, 0)
    tick()
    over = vera.get(path).json()
    assert (over["state"], over["exit_code"]) == ("succeeded", 0)
    assert over["reason"] == {"code": "completed", "message": over["reason"]["message"], "next": None}
    assert over["cost"]["final"] == over["cost"]["so_far"]
    (attempt,) = over["attempts"]
    assert (attempt["number"], attempt["state"], attempt["exit_code"], attempt["again"]) == (1, "succeeded", 0, None)
    assert attempt["ended_at"] == over["ended_at"]
    assert vera.post(f"{path}cancel/").json()["state"] == "succeeded"


def test_a_failure_says_why_and_where_to_look(vera: Caller, catalog: None, tick: Tick, fake_engine: FakeEngine) -> None:
    made = submitted(vera)
    tick()
    end(fake_engine, made, 3)
    tick()
    shown = vera.get(f"/jobs/{made['id']}/").json()
    assert (shown["state"], shown["exit_code"], shown["reason"]["code"]) == ("failed", 3, "failed")
    assert shown["reason"]["next"] == {"label": "See its log", "url": made["url"]}


def test_each_attempt_says_why_there_is_another(
    vera: Caller, catalog: None, tick: Tick, fake_engine: FakeEngine
) -> None:
    made = submitted(vera, retries=2, retry_delay_seconds=0)
    path = f"/jobs/{made['id']}/"
    tick()
    fake_engine.vanish(container_name(Allocation.objects.get(owner_id=made["id"])))
    with clock.shifted(timedelta(minutes=1)):
        tick()
        end(fake_engine, made, 3)
        tick()
        shown = vera.get(path).json()
    lost, failed, now = shown["attempts"]
    assert (shown["attempt"], shown["state"], shown["exit_code"]) == (3, "running", 3)
    assert (lost["state"], lost["counted"]) == ("lost", False)
    assert "without using up a retry" in lost["again"]
    assert (failed["state"], failed["counted"], failed["exit_code"], failed["again"]) == (
        "failed", True, 3, "Retry 1 of 2.",
    )  # fmt: skip
    assert (now["state"], now["reason"], now["counted"], now["again"]) == ("running", None, None, None)


def test_between_attempts_it_says_what_it_waits_for(
    vera: Caller, catalog: None, tick: Tick, fake_engine: FakeEngine
) -> None:
    made = submitted(vera, retries=1, retry_delay_seconds=60)
    tick()
    end(fake_engine, made, 3)
    tick()
    shown = vera.get(f"/jobs/{made['id']}/").json()
    assert (shown["state"], shown["queue"], shown["reason"]["code"]) == ("queued", None, "waiting")
    assert "Again in 1 min" in shown["reason"]["message"]
    assert shown["attempts"][0]["again"] == "Retry 1 of 1."


def test_cancelling_is_never_an_error(vera: Caller, catalog: None, tick: Tick) -> None:
    made = submitted(vera, retries=3)
    tick()
    path = f"/jobs/{made['id']}/cancel/"
    first = vera.post(path)
    assert (first.status_code, first.json()["state"]) == (202, "stopping")
    assert vera.post(path).status_code == 202
    tick()
    last = vera.post(path).json()
    assert (last["state"], last["attempt"], last["reason"]["next"]) == ("cancelled", 1, None)


def test_an_engine_that_does_not_answer_is_told(vera: Caller, catalog: None, tick: Tick) -> None:
    made = submitted(vera)
    tick()
    Allocation.objects.update(unknown_since=clock.now())
    shown = vera.get(f"/jobs/{made['id']}/").json()
    assert (shown["state"], shown["reason"]["code"]) == ("running", "unreachable")


def test_running_again_makes_another_job(vera: Caller, catalog: None) -> None:
    Dataset.objects.create(name="imagenet", teams=["*"])
    made = submitted(vera, parameters={"lr": 0.1}, inputs=["imagenet"], priority="low", env={"A": "1"})
    key = {"Idempotency-Key": "again"}
    again = vera.post(f"/jobs/{made['id']}/rerun/", **key)
    assert again.status_code == 201
    assert again.json()["record"] == made["record"] | {"rerun_of": made["id"]}
    assert again.json()["priority"] == "low"
    assert vera.post(f"/jobs/{made['id']}/rerun/", **key).json()["id"] == again.json()["id"]
    assert Job.objects.count() == 2


def test_the_record_says_which_versions_of_datasets_it_found(vera: Caller, catalog: None, tick: Tick) -> None:
    iris()
    looked("one")
    made = submitted(vera, inputs=["iris"])
    assert (made["record"]["input_versions"], made["record"]["changed_inputs"]) == ([], [])
    tick()
    at = f"/jobs/{made['id']}/"
    record = vera.get(at).json()["record"]
    assert (record["inputs"], record["input_versions"], record["changed_inputs"]) == (["iris"], ["iris:1"], [])
    looked("two", minutes=1)
    record = vera.get(at).json()["record"]
    assert (record["input_versions"], record["changed_inputs"]) == (["iris:1"], ["iris:2"])


def test_versions_of_datasets_cost_a_fixed_number_of_queries(
    vera: Caller, catalog: None, tick: Tick, django_assert_max_num_queries: Any
) -> None:
    iris()
    looked("one")
    submitted(vera, inputs=["iris"])
    tick()
    with django_assert_max_num_queries(30) as few:
        vera.get("/jobs/")
    most = len(few)
    for _ in range(3):
        submitted(vera, inputs=["iris"])
    tick()
    looked("two", minutes=1)
    with django_assert_max_num_queries(most):
        found = vera.get("/jobs/").json()["results"]
    assert [one["record"]["changed_inputs"] for one in found] == [["iris:2"]] * 4


def test_a_key_submits_once(vera: Caller, catalog: None) -> None:
    first, second = (vera.post("/jobs/", BODY, **{"Idempotency-Key": "build-7"}) for _ in range(2))
    assert first.json() == second.json()
    assert Job.objects.count() == 1


def test_submitting_is_throttled_as_launching_is(vera: Caller, catalog: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ScopedThrottle, "THROTTLE_RATES", {"launch": "2/min", "ticket": None})
    made = submitted(vera)
    vera.post(f"/jobs/{made['id']}/rerun/")
    refused = vera.post("/jobs/", BODY)
    assert_problem(refused, 429)
    assert 1 <= int(refused["Retry-After"]) <= 60
    assert vera.get(f"/jobs/{made['id']}/").status_code == 200


# What it may cost


def _took(job: dict[str, Any], seconds: int) -> None:
    now = clock.now()
    Job.objects.filter(pk=job["id"]).update(
        state="succeeded", begin_at=None, begun_at=now - timedelta(seconds=seconds), ended_at=now
    )
    Allocation.objects.filter(owner_id=job["id"]).update(phase=Phase.ENDED, ended_at=now)


def test_the_estimate_is_the_longest_it_may_take(vera: Caller, catalog: None) -> None:
    made = submitted(vera, size="medium", max_duration_seconds=7200)
    assert made["cost"]["estimate"] == {"amount": "0.1200", "currency": "EUR"}


def test_or_what_ones_last_jobs_of_the_name_took(
    vera: Caller, people: Any, caller: Callable[..., Caller], catalog: None
) -> None:
    for seconds in (1800, 3600, 36_000):
        _took(submitted(vera, name="nightly"), seconds)
    _took(submitted(vera, name="other"), 60)
    made = submitted(vera, name="nightly", size="medium")
    assert made["cost"]["estimate"] == {"amount": "0.0600", "currency": "EUR"}
    assert submitted(caller(people.oda), name="nightly")["cost"]["estimate"] is None
    _took(made, 60)
    assert vera.get(f"/jobs/{made['id']}/").json()["cost"]["estimate"] is None


# Lists


def test_filters(vera: Caller, people: Any, caller: Callable[..., Caller], catalog: None) -> None:
    made = submitted(vera, name="a b")
    later = submitted(vera)
    theirs = submitted(caller(people.oda))
    _took(later, 60)

    def ids(query: str, who: Caller = vera) -> list[str]:
        return [row["id"] for row in who.get(f"/jobs/?{query}").json()["results"]]

    assert ids("") == ids("team=vision&template=python") == [later["id"], made["id"]]
    assert ids("state=queued") == ids("name=a+b") == [made["id"]]
    assert ids("since=2000-01-01") == ids("")
    assert ids("since=2999-01-01T00:00:00Z") == []
    assert ids("owner=all") == ids("")
    assert ids("owner=all", caller(people.luis)) == ids("")
    assert ids("owner=all&team=risk", caller(people.ada)) == [theirs["id"]]
    assert ids("owner=me", caller(people.luis)) == []
    assert ids("search=A+B") == ids("owner=vera&search=A+b") == [made["id"]]
    assert ids("owner=vera&search=a+b", caller(people.luis)) == [made["id"]]
    assert ids("search=nothing") == []


# Many at once


def test_many_are_cancelled_and_each_refusal_is_named(
    vera: Caller, people: Any, caller: Callable[..., Caller], catalog: None, tick: Tick
) -> None:
    first, second, over = submitted(vera), submitted(vera), submitted(vera)
    theirs = submitted(caller(people.oda))
    _took(over, 60)
    tick()
    body = {"jobs": [first["id"], second["id"].lower(), first["id"], over["id"], theirs["id"]]}
    for _ in range(2):
        done = vera.post("/jobs/cancel/", body).json()
        assert done["cancelled"] == [first["id"], second["id"]]
        assert [refusal["id"] for refusal in done["refused"]] == [over["id"], theirs["id"]]
        assert done["refused"][0]["message"] == "train.py was over already: succeeded."
        assert done["left"] == 0
    tick()
    states = {row["id"]: row["state"] for row in vera.get("/jobs/").json()["results"]}
    assert states == {first["id"]: "cancelled", second["id"]: "cancelled", over["id"]: "succeeded"}


def test_all_that_a_filter_finds_are_cancelled(
    vera: Caller, people: Any, caller: Callable[..., Caller], catalog: None
) -> None:
    nets, other = [submitted(vera, name=f"net {n}")["id"] for n in range(3)], submitted(vera)["id"]
    done = vera.post("/jobs/cancel/", {"filter": {"search": "net", "state": "queued"}}).json()
    assert done == {"cancelled": nets, "refused": [], "left": 0}
    assert vera.post("/jobs/cancel/", {"filter": {"search": "net"}}).json()["cancelled"] == []
    lead = caller(people.luis)
    assert lead.post("/jobs/cancel/", {"filter": {}}).json()["cancelled"] == []
    assert lead.post("/jobs/cancel/", {"filter": {"owner": "all"}}).json()["cancelled"] == [other]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "jobs"),
        ({"jobs": [], "filter": {}}, "jobs"),
        ({"jobs": ["x"] * 201 + ["y"]}, None),
        ({"jobs": [str(number) for number in range(201)]}, "jobs"),
        ({"jobs": "all"}, "jobs"),
        ({"filter": {"state": "asleep"}}, "filter.state"),
        ({"filter": {"stat": "failed"}}, "filter.stat"),
        ({"filter": {"team": "risk"}}, "team"),
        ({"all": True}, "all"),
    ],
)
def test_a_wrong_wish_to_cancel_is_refused_field_by_field(
    vera: Caller, catalog: None, body: dict[str, Any], field: str | None
) -> None:
    response = vera.post("/jobs/cancel/", body)
    if field is None:
        assert [refusal["id"] for refusal in response.json()["refused"]] == ["x", "y"]
    else:
        assert_problem(response, 422, field)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("state=asleep", "state"),
        ("owner=luis", "owner"),
        ("team=risk", "team"),
        ("team=%00", "team"),
        ("template=none", "template"),
        ("since=yesterday", "since"),
        ("since=0001-01-01T00:00:00%2B14:00", "since"),
        ("name=%00", "name"),
        ("name=" + "x" * 100, "name"),
        ("limit=0", "limit"),
        ("cursor=nonsense", "cursor"),
    ],
)
def test_unknown_filter_values_are_named(vera: Caller, catalog: None, query: str, field: str) -> None:
    assert_problem(vera.get(f"/jobs/?{query}"), 422, field)


def test_pages_show_every_row_once(vera: Caller, catalog: None) -> None:
    ids = [submitted(vera)["id"] for _ in range(3)]
    first = vera.get("/jobs/?limit=2").json()
    submitted(vera)
    second = vera.http.get(first["next"], headers={"Authorization": f"Bearer {vera.secret}"}).json()
    assert [row["id"] for row in first["results"] + second["results"]] == ids[::-1]


def test_a_list_costs_the_same_queries_for_one_row_and_for_thirty(vera: Caller, people: Any, catalog: None) -> None:
    submitted(vera)
    ApiToken.objects.update(last_used_at=clock.now())
    with CaptureQueriesContext(connection) as one:
        vera.get("/jobs/")
    for number in range(29):
        asked = Submission(template="python", command=["true"], name=f"job {number % 3}")
        actions.submit(people.vera, asked, actor="vera")
    with CaptureQueriesContext(connection) as thirty:
        rows = vera.get("/jobs/").json()["results"]
    assert len(rows) == 30
    assert len(one) == len(thirty)


# Log and metrics


def write(allocation: Allocation, *lines: str) -> None:
    """As the agent does with what a program prints."""
    writer = ChunkWriter(allocation)
    for number, text in enumerate(lines):
        writer.add(LogLine(clock.now() + timedelta(milliseconds=number), "stdout", text))
    writer.flush()


@pytest.fixture
def twice(
    vera: Caller, catalog: None, tick: Tick, fake_engine: FakeEngine, settings: Any, tmp_path: Path
) -> dict[str, Any]:
    """A job whose first attempt failed and whose second one runs."""
    settings.LOG_STORAGE = tmp_path
    made = submitted(vera, retries=1, retry_delay_seconds=0)
    tick()
    write(Allocation.objects.get(owner_id=made["id"]), "first", "::metric loss=3 step=1::", "::progress 0.5::")
    end(fake_engine, made, 3)
    tick()
    write(Allocation.objects.get(owner_id=made["id"], ended_at=None), "second", "::metric loss=2 step=2::")
    return made


def test_the_log_is_that_of_the_latest_attempt_or_of_the_one_asked_for(vera: Caller, twice: dict[str, Any]) -> None:
    path = f"/jobs/{twice['id']}/logs/"
    assert [line["line"] for line in vera.get(path).json()["results"]] == ["second", "::metric loss=2 step=2::"]
    assert vera.get(f"{path}?attempt=1&tail=3").json()["results"][0]["line"] == "first"
    text = vera.get(f"{path}?attempt=2&format=text")
    assert b"".join(text.streaming_content) == b"second\n::metric loss=2 step=2::\n"
    for number in ("3", "0", "-1", "x", "9" * 30):
        assert_problem(vera.get(f"{path}?attempt={number}"), 422, "attempt")


def test_before_the_first_attempt_the_log_is_empty(vera: Caller, catalog: None) -> None:
    made = submitted(vera)
    Attempt.objects.all().delete()
    assert vera.get(f"/jobs/{made['id']}/logs/").json() == {"results": [], "next_after": 0, "state": "none"}
    shown = vera.get(f"/jobs/{made['id']}/").json()
    assert (shown["attempt"], shown["attempts"]) == (0, [])
    assert vera.get(f"/jobs/{made['id']}/metrics/").json()["cpu"] is None


def test_metrics_have_what_all_attempts_said(vera: Caller, twice: dict[str, Any]) -> None:
    path = f"/jobs/{twice['id']}/metrics/"
    shown = vera.get(path).json()
    assert set(shown) == {"cpu", "memory", "gpu", "scalars"}
    assert shown["cpu"]["reserved"] == 1
    points = [{"attempt": 1, "step": 1, "value": 3.0}, {"attempt": 2, "step": 2, "value": 2.0}]
    assert shown["scalars"] == [{"name": "loss", "points": points}]
    assert vera.get(f"{path}?attempt=1").json()["cpu"]["points"] == []
    assert_problem(vera.get(f"{path}?attempt=3"), 422, "attempt")


def test_what_is_over_shows_the_last_hour_it_had(vera: Caller, twice: dict[str, Any]) -> None:
    first = Allocation.objects.get(attempt__job=twice["id"], attempt__number=1)
    assert first.ended_at is not None
    over = first.ended_at - timedelta(hours=5)
    Allocation.objects.filter(pk=first.pk).update(started_at=over - timedelta(hours=2), ended_at=over)
    Sample.objects.create(allocation=first, at=over - timedelta(minutes=30), cpu=0.5, memory=1)
    shown = vera.get(f"/jobs/{twice['id']}/metrics/?attempt=1").json()
    assert [point["value"] for point in shown["cpu"]["points"]] == [0.5]


def test_long_series_are_thinned_and_end_with_the_last_value(vera: Caller, twice: dict[str, Any]) -> None:
    attempt = Attempt.objects.get(job=twice["id"], number=2)
    common = {"job_id": twice["id"], "attempt": attempt, "at": clock.now()}
    for name, count, start in (("a", 1000, 100), ("b", POINTS, 5000)):
        told = (Scalar(seq=start + n, name=name, step=n, value=n, **common) for n in range(count))
        Scalar.objects.bulk_create(told)
    scalars = {one["name"]: one["points"] for one in vera.get(f"/jobs/{twice['id']}/metrics/").json()["scalars"]}
    assert list(scalars) == ["a", "b", "loss"]
    assert len(scalars["b"]) == POINTS
    assert POINTS / 2 < len(scalars["a"]) <= POINTS
    assert scalars["a"][-1]["step"] == 999
    assert sorted(point["step"] for point in scalars["a"]) == [point["step"] for point in scalars["a"]]


def test_a_job_names_an_image_in_place_of_a_template(people: Any, caller: Callable[..., Caller], catalog: None) -> None:
    vera, luis, oda = caller(people.vera), caller(people.luis), caller(people.oda)
    allow(PATTERNS, ["vision"])
    body = {"image": TRAIN, "command": ["train"]}
    made = vera.post("/jobs/", body)
    assert made.status_code == 201
    record = made.json()["record"]
    assert (record["template"], record["image"]) == ("vision-images", TRAIN)
    again = vera.post(f"/jobs/{made.json()['id']}/rerun/").json()["record"]
    assert (again["template"], again["image"]) == ("vision-images", TRAIN)
    assert submitted(vera)["record"]["image"] is None
    refused = assert_problem(oda.post("/jobs/", body), 422, "image")
    assert "ask an administrator to allow some" in refused["detail"]
    for other, status in ((luis, 200), (oda, 404)):
        assert other.get(f"/jobs/{made.json()['id']}/").status_code == status
    text = "command: [train]\nimage: evil.example.org/x:1\n"
    refused = assert_problem(vera.post("/jobs/", text, kind=MEDIA_TYPE), 422, "image")
    assert refused["errors"]["image"][0].startswith("Line 2: Jobs of Vision may not run evil.example.org/x:1.")
    assert "vision-images" not in {one["slug"] for one in vera.get("/templates/").json()["results"]}
    assert [job["id"] for job in vera.get("/jobs/?template=vision-images").json()["results"]][-1] == made.json()["id"]
