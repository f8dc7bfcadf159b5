"""A job as a YAML file: read, refused by line, and written so that it reads back as the same."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from rest_framework.exceptions import ParseError

from jobs import job_file
from jobs.models import Job
from jobs.submission import Submission
from portal.lib.bodies import TooLarge
from portal.lib.errors import Invalid

WHOLE = """\
name: train churn
template: python
size: medium
command: [python, train.py, "--lr={parameters.lr}"]
parameters:
  lr: 1.0e-3
  since: 2026-01-31
env:
  EPOCHS: "10"
git:
  url: https://git.example.org/team/churn.git
  ref: main
outputs: [model]
retries: 2
retry_rules:
  - {log_contains: no such column, then: fail}
  - exit_codes: [3]
    then: retry
"""


def test_a_file_has_the_fields_of_the_api() -> None:
    assert job_file.submission(WHOLE.encode()) == Submission(
        name="train churn",
        template="python",
        size="medium",
        command=["python", "train.py", "--lr={parameters.lr}"],
        parameters={"lr": 0.001, "since": "2026-01-31"},
        env={"EPOCHS": "10"},
        git_url="https://git.example.org/team/churn.git",
        git_ref="main",
        outputs=["model"],
        retries=2,
        retry_rules=[{"log_contains": "no such column", "then": "fail"}, {"exit_codes": [3], "then": "retry"}],
    )


@pytest.mark.parametrize(
    ("old", "new", "field", "line"),
    [
        ("size: medium", "size: 3", "size", 3),
        ('"10"', "10", "env.EPOCHS", 9),
        ("train.py", "12", "command.1", 4),
        ("ref: main", "branch: main", "git.branch", 12),
        ("then: retry", "then: wait", "retry_rules.1.then", 18),
        ("retries: 2", "retries: 11", "retries", 14),
        ("lr: 1.0e-3", "lr: .inf", "parameters.lr", 6),
        ("name: train churn", 'name: "a\\0b"', "name", 1),
        ("name: train churn", 'name: "\\ud800"', "name", 1),
    ],
)
def test_what_is_refused_is_named_with_its_line(old: str, new: str, field: str, line: int) -> None:
    assert old in WHOLE
    with pytest.raises(Invalid) as problem:
        job_file.submission(WHOLE.replace(old, new).encode())
    assert list(problem.value.fields) == [field]
    assert problem.value.fields[field][0].startswith(f"Line {line}: ")
    assert problem.value.detail.startswith(f"Line {line}: ")


def test_what_is_missing_has_no_line() -> None:
    with pytest.raises(Invalid) as problem:
        job_file.submission(b"template: python")
    assert problem.value.fields == {"command": ["This field is required."]}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("name: &a x\ncommand: [*a]", 1),
        ("name: x\ncommand: *a", 2),
        ("name: x\ncommand: !!python/object/apply:os.system [ls]", 2),
        ("name: !!binary aGk=", 1),
        ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]", 1),
        ("<<: {name: x}\nname: y\n1: z", 3),
        ("name: x\nenv: {ON: x}", 2),
        ("? [a]\n: b", 1),
        ("name: x\nname: y", 2),
        ("name: x\n\tsize: y", 2),
        ("name: x\n--- \nname: y", 2),
        ("name: [", 1),
        ("name: 0b_", 1),
        ("name: " + "9" * 5000, 1),
        ("[" * 20_000, 1),
    ],
)
def test_what_is_no_plain_yaml_is_malformed(text: str, line: int) -> None:
    with pytest.raises(ParseError) as problem:
        job_file.read(text.encode())
    assert f"Line {line}: " in str(problem.value.detail)


def test_other_encodings_and_large_files_are_refused() -> None:
    with pytest.raises(ParseError):
        job_file.read(b"\xff\xfe")
    with pytest.raises(TooLarge):
        job_file.read(b"#" * (job_file.LARGEST + 1))


@pytest.mark.parametrize("text", ["", "- a", "text", "5", "null"])
def test_a_file_has_fields(text: str) -> None:
    with pytest.raises(Invalid) as problem:
        job_file.submission(text.encode())
    assert list(problem.value.fields) == ["body"]


def test_a_written_file_says_no_more_than_it_must() -> None:
    asked = Submission(template="python", command=["true"], outputs=["outputs"], rerun_of="x")
    assert yaml.safe_load(job_file.dump(asked)) == {"template": "python", "command": ["true"]}


storable = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
trimmed = storable.map(str.strip).filter(bool)
submissions = st.builds(
    Submission,
    command=st.lists(storable, min_size=1, max_size=4),
    template=st.none() | trimmed,
    name=storable.map(str.strip),
    parameters=st.dictionaries(
        storable, st.booleans() | st.integers() | storable | st.floats(allow_nan=False, allow_infinity=False)
    ),
    env=st.dictionaries(storable, storable, max_size=3),
    inputs=st.lists(trimmed, max_size=3),
    outputs=st.lists(storable, max_size=3),
    max_duration_seconds=st.none() | st.integers(1, 1000),
    retries=st.integers(0, 10),
    retry_rules=st.lists(
        st.fixed_dictionaries({"log_contains": storable.filter(bool), "then": st.just("fail")}), max_size=3
    ),
)


@given(asked=submissions)
def test_what_is_written_reads_back_as_the_same(asked: Submission) -> None:
    assert job_file.submission(job_file.dump(asked).encode()) == asked


@settings(max_examples=300)
@given(text=st.text(alphabet="ab1:-[]{}&*!?|>'\"#%@`,. \n\t<=~_0xe\\", max_size=40))
def test_no_text_breaks_it(text: str) -> None:
    try:
        job_file.submission(text.encode())
    except (ParseError, Invalid):
        pass


@pytest.mark.django_db
def test_the_file_of_a_job_submits_it_again(submit: Callable[..., Job], people: Any) -> None:
    from jobs import actions
    from jobs.again import submission_of

    job = submit(parameters={"lr": 0.1}, env={"A": "1"}, command=["bash", "-c", "one\ntwo {parameters.lr}\n"])
    text = job_file.dump(submission_of(job))
    again = actions.submit(people.vera, job_file.submission(text.encode()), actor="vera")
    assert submission_of(again) == submission_of(job)
