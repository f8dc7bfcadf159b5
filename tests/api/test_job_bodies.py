"""Whatever is sent to submit a job, the answer names the field, never a 500."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from environments.models import Dataset
from jobs.job_file import MEDIA_TYPE
from jobs.models import Job
from portal.compute.models import Allocation
from tests.api.conftest import Caller, assert_problem
from tests.api.test_bodies import FUZZ, bodies, parameters, text, values

GOOD = {"template": "python", "command": ["python", "train.py"]}
RULE = {"exit_codes": [3], "log_contains": "memory", "reason": "oom", "then": "retry"}


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"template": "unknown"}, "template"),
        ({"template": None}, "template"),
        ({"template": "x" * 10_000}, "template"),
        ({"version": "1900.01"}, "version"),
        ({"image": "registry.example.org/team/train:1"}, "image"),
        ({"template": None, "image": "registry.example.org/team/train:1"}, "image"),
        ({"template": None, "image": "no image"}, "image"),
        ({"template": None, "image": ""}, "image"),
        ({"template": None, "image": 5}, "image"),
        ({"template": None, "image": "x" * 301}, "image"),
        ({"template": None, "image": "a:\ud800"}, "image"),
        ({"size": "vast"}, "size"),
        ({"size": 2**63}, "size"),
        ({"team": "risk"}, "team"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x" * 61}, "name"),
        ({"name": "\u202eevil"}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"command": []}, "command"),
        ({"command": [" "]}, "command"),
        ({"command": "python train.py"}, "command"),
        ({"command": ["python", 3]}, "command.1"),
        ({"command": ["x"] * 1001}, "command"),
        ({"command": ["x" * 100_001]}, "command"),
        ({"command": ["echo {parameters.lr}"]}, "command"),
        ({"parameters": {"a b": 1}}, "parameters"),
        ({"parameters": {"a": [1]}}, "parameters"),
        ({"parameters": {"a": None}}, "parameters"),
        ({"parameters": {"a": "x" * 1001}}, "parameters"),
        ({"parameters": {f"a{n}": n for n in range(101)}}, "parameters"),
        ({"env": {"A B": "x"}}, "env"),
        ({"env": {"BERTH_JOB": "x"}}, "env"),
        ({"env": {"A": 1}}, "env.A"),
        ({"secrets": ["unknown"]}, "secrets"),
        ({"secrets": [5]}, "secrets.0"),
        ({"git": {"url": "https://me:pass@example.org/x.git"}}, "git.url"),
        ({"git": {"url": "https://example.org/x.git", "ref": "-x"}}, "git.ref"),
        ({"git": {"ref": "main"}}, "git.url"),
        ({"workspace": "unknown"}, "workspace"),
        ({"workspace": "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"}, "workspace"),
        ({"folder": "../src"}, "folder"),
        ({"folder": "src", "git": {"url": "https://example.org/x.git"}}, "git.url"),
        ({"inputs": ["unknown"]}, "inputs"),
        ({"outputs": ["/etc"]}, "outputs"),
        ({"outputs": ["a/../../b"]}, "outputs"),
        ({"outputs": [f"p{n}" for n in range(51)]}, "outputs"),
        ({"max_duration_seconds": 0}, "max_duration_seconds"),
        ({"max_duration_seconds": 10**400}, "max_duration_seconds"),
        ({"max_duration_seconds": True}, "max_duration_seconds"),
        ({"grace_seconds": -1}, "grace_seconds"),
        ({"grace_seconds": None}, "grace_seconds"),
        ({"retries": 11}, "retries"),
        ({"retries": 1.5}, "retries"),
        ({"retry_delay_seconds": 601}, "retry_delay_seconds"),
        ({"retry_rules": [RULE] * 21}, "retry_rules"),
        ({"retry_rules": [{"then": "retry"}]}, "retry_rules"),
        ({"retry_rules": [RULE, RULE | {"then": "wait"}]}, "retry_rules.1.then"),
        ({"retry_rules": [RULE | {"exit_codes": [256]}]}, "retry_rules.0.exit_codes.0"),
        ({"retry_rules": [RULE | {"reason": "lost"}]}, "retry_rules.0.reason"),
        ({"retry_rules": [RULE | {"when": "x"}]}, "retry_rules.0.when"),
        ({"retry_rules": ["retry"]}, "retry_rules.0"),
        ({"priority": "urgent"}, "priority"),
        ({"priority": "high"}, "priority"),
        ({"priority": []}, "priority"),
        ({"image": "evil:latest"}, "image"),
        ({"owner": "luis"}, "owner"),
        ({"rerun_of": "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"}, "rerun_of"),
    ],
)
def test_a_bad_field_is_named_and_nothing_is_made(
    vera: Caller, catalog: None, asked: dict[str, Any], field: str
) -> None:
    assert_problem(vera.post("/jobs/", GOOD | asked), 422, field)
    assert not Job.objects.exists()
    assert not Allocation.objects.exists()


def test_all_that_a_job_can_ask_for(vera: Caller, catalog: None, make_workspace: Callable[..., Any]) -> None:
    Dataset.objects.create(name="imagenet", teams=["*"])
    asked = GOOD | {
        "name": "all",
        "version": "2026.11",
        "size": "medium",
        "team": "vision",
        "command": ["bash", "-c", "echo {parameters.lr}", ""],
        "parameters": {"lr": 1e-300, "large": 10**400, "on": True, "word": "ü\n"},
        "env": {"A": " "},
        "git": {"url": "https://example.org/x.git", "ref": "main"},
        "inputs": ["imagenet"],
        "outputs": ["model", "plots/"],
        "max_duration_seconds": 60,
        "grace_seconds": 0,
        "retries": 10,
        "retry_delay_seconds": 0,
        "retry_rules": [RULE],
        "priority": "low",
    }
    job = Job.objects.get(pk=vera.post("/jobs/", asked).json()["id"])
    assert (job.parameters, job.retry_rules, job.outputs) == (asked["parameters"], [RULE], ["model", "plots"])
    like = {"workspace": make_workspace().pk.lower(), "folder": "src", "command": ["true"]}
    assert vera.post("/jobs/", like).json()["record"]["folder"] == "src"


def test_a_workspace_of_somebody_else_is_not_copied(
    vera: Caller, people: Any, catalog: None, make_workspace: Callable[..., Any]
) -> None:
    for owner in (people.oda, people.luis):
        assert_problem(vera.post("/jobs/", GOOD | {"workspace": make_workspace(owner).pk}), 422, "workspace")


def test_a_file_is_a_body_too_and_refused_by_line(vera: Caller, catalog: None) -> None:
    text = "template: python\ncommand: [python, train.py]\nname: from a file\n"
    key = {"Idempotency-Key": "build-7"}
    made, again = (vera.post("/jobs/", text, kind=MEDIA_TYPE, **key) for _ in range(2))
    assert (made.status_code, made.json()["name"]) == (201, "from a file")
    assert again.json() == made.json()
    refused = vera.post("/jobs/", text + "size: vast\n", kind=MEDIA_TYPE)
    problem = assert_problem(refused, 422, "size")
    assert problem["detail"] == problem["errors"]["size"][0]
    assert problem["detail"].startswith("Line 4: ")
    assert_problem(vera.post("/jobs/", text + "- x", kind=MEDIA_TYPE), 400)
    assert_problem(vera.post("/jobs/", "#" * 200_000, kind=MEDIA_TYPE), 413)
    assert_problem(vera.post("/jobs/", text, kind="text/plain"), 415)
    assert_problem(vera.post("/workspaces/", text, kind=MEDIA_TYPE), 415)


FIELDS = [
    "template", "version", "size", "team", "name", "command", "parameters", "env", "git", "workspace", "folder",
    "inputs", "secrets", "outputs", "max_duration_seconds", "grace_seconds", "retries", "retry_delay_seconds",
    "retry_rules", "priority",
]  # fmt: skip
rules = st.lists(st.dictionaries(st.sampled_from(["exit_codes", "log_contains", "reason", "then"]), values), max_size=3)
likely = st.fixed_dictionaries(
    {},
    optional={
        "name": text,
        "command": st.lists(text, max_size=4),
        "parameters": st.dictionaries(st.from_regex(r"\A[a-z]{1,3}\Z"), values, max_size=3),
        "env": st.dictionaries(text, text, max_size=3),
        "git": st.fixed_dictionaries({"url": text, "ref": text}),
        "outputs": st.lists(text, max_size=3),
        "inputs": st.lists(text, max_size=3),
        "secrets": st.lists(text, max_size=3),
        "workspace": text,
        "folder": text,
        "retries": st.integers(-1, 12),
        "grace_seconds": st.integers(),
        "retry_rules": rules,
    },
)


@FUZZ
@given(body=st.dictionaries(st.sampled_from(FIELDS), values, max_size=5) | bodies | likely, sensible=st.booleans())
def test_no_body_breaks_it(vera: Caller, catalog: None, body: dict[str, Any], sensible: bool) -> None:
    response = vera.post("/jobs/", json.dumps(GOOD | body if sensible else body))
    assert response.status_code in (201, 422), response.content
    if response.status_code == 201:
        path = f"/jobs/{response.json()['id']}/"
        assert vera.get(path).status_code == 200
        file = vera.get(f"{path}file/").content
        again = vera.post("/jobs/", file, kind=MEDIA_TYPE)
        assert again.status_code == 201, (file, again.content)


queries = st.dictionaries(st.sampled_from(["name", "since", "attempt"]), st.text(max_size=30), max_size=3) | parameters


@FUZZ
@given(query=queries, part=st.sampled_from(["", "logs/", "metrics/", "file/", None]))
def test_no_query_breaks_it(vera: Caller, catalog: None, query: dict[str, str], part: str | None) -> None:
    job = Job.objects.first() or Job(pk=vera.post("/jobs/", GOOD).json()["id"])
    path = "/api/v1/jobs/" if part is None else f"/api/v1/jobs/{job.pk}/{part}"
    response = vera.http.get(path, query, headers={"Authorization": f"Bearer {vera.secret}"})
    assert response.status_code in (200, 404, 422), response.content
