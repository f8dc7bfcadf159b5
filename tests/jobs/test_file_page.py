"""A job as a file in the pages: the review of the form, and a file that is pasted or uploaded, refused by line."""

from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from jobs import job_file
from jobs.models import Job
from jobs.submission import SHELL
from tests.conftest import People

pytestmark = pytest.mark.django_db
SignIn = Callable[[Any], Client]
AT = "/jobs/new/file/"
FILE = "template: python\nsize: medium\ncommand: [python, train.py]\nmax_duration_seconds: 7200\n"
FORM = {
    "template": "python",
    "command": "pip list\npython train.py --lr {parameters.lr}",
    "parameters": 'lr="1"',
    "size": "medium",
    "folder": "churn",
    "max_duration_minutes": "120",
    "retry_rules": "retry: exit 75",
}


def text(response: Any) -> str:
    return unescape(" ".join(response.content.decode().split()))


def area(response: Any) -> str:
    """What stands in the field of the file."""
    inside = response.content.decode().split('id="job-file"')[1].split(">\n", 1)[1].split("</textarea>")[0]
    return unescape(inside)


def test_the_form_is_reviewed_as_the_file_that_submits_it(people: People, catalog: None, signed_in: SignIn) -> None:
    client = signed_in(people.vera)
    assert 'formaction="/jobs/new/review/"' in text(client.get("/jobs/new/"))
    review = client.post("/jobs/new/review/", FORM)
    page = text(review)
    assert review.status_code == 200
    assert "<dt>Costs</dt> <dd> at most € 0.12 </dd>" in page
    assert "<dt>Code</dt> <dd> ~/churn, as it is now </dd>" in page
    assert "€ 0.06" in page
    assert "python train.py --lr {parameters.lr}</pre>" in page
    assert not Job.objects.exists()
    assert job_file.submission(area(review).encode()).parameters == {"lr": "1"}
    response = client.post(AT, {"text": area(review).replace("\n", "\r\n")})
    job = Job.objects.get()
    assert response.headers["Location"] == job.get_absolute_url()
    assert job.command == [*SHELL, FORM["command"]]
    assert (job.folder, job.max_duration_seconds, job.parameters) == ("churn", 7200, {"lr": "1"})
    assert job.retry_rules == [{"exit_codes": [75], "then": "retry"}]


def test_the_expected_cost_is_that_of_the_last_jobs_of_the_name(
    people: People, submit: Callable[..., Job], signed_in: SignIn
) -> None:
    from datetime import timedelta

    from portal.lib import clock

    now = clock.now()
    before = submit(name="nightly")
    over = {"state": "succeeded", "begun_at": now - timedelta(hours=2), "ended_at": now, "begin_at": None}
    Job.objects.filter(pk=before.pk).update(**over)
    page = text(signed_in(people.vera).post(AT, {"text": FILE[:-27] + "\nname: nightly", "review": "yes"}))
    assert "about € 0.12, if it takes as long as your last jobs of that name" in page
    assert Job.objects.count() == 1


def test_what_the_review_refuses_stands_in_the_form(people: People, catalog: None, signed_in: SignIn) -> None:
    response = signed_in(people.vera).post("/jobs/new/review/", FORM | {"size": "huge"})
    assert response.status_code == 422
    assert "Python cannot run as “huge”." in text(response)
    assert "~/churn" not in text(response)
    assert 'value="churn"' in text(response)


def test_an_uploaded_file_is_submitted(people: People, catalog: None, signed_in: SignIn) -> None:
    upload = SimpleUploadedFile("job.yaml", FILE.encode())
    signed_in(people.vera).post(AT, {"text": "not this", "upload": upload})
    assert Job.objects.get().size_id == "medium"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (FILE + "sise: x\n", "Line 5: There is no field “sise” here."),
        (FILE.replace("medium", "huge"), "Line 2: Python cannot run as “huge”."),
        (FILE + "retry_rules:\n  - {then: wait, exit_codes: [1]}\n", "Line 6: "),
        ("template: python\n", "command: This field is required."),
        ("template: [\n", "cannot be read"),
        ("- a", "A file has fields"),
        ("", "A file has fields"),
        ("x\0", "Line 1: cannot be read"),
        (b"\xff\xfe", "The file is not UTF-8."),
        ("#" * (job_file.LARGEST + 1), "A file has at most 131,072 bytes."),
    ],
)
@pytest.mark.parametrize("also", [{}, {"review": "yes"}])
def test_what_is_refused_is_named_with_its_line_and_the_file_is_kept(
    people: People, catalog: None, signed_in: SignIn, content: str | bytes, sentence: str, also: dict[str, str]
) -> None:
    whole = content.encode() if isinstance(content, str) else content
    response = signed_in(people.vera).post(AT, {"upload": SimpleUploadedFile("job.yaml", whole)} | also)
    assert response.status_code == 422
    assert sentence in text(response)
    assert area(response).startswith(whole.decode(errors="replace")[:20].replace("\0", ""))
    assert not Job.objects.exists()


def test_a_file_is_never_markup(people: People, catalog: None, signed_in: SignIn) -> None:
    evil = "</textarea><script>alert(1)</script>"
    for posted in ({"text": f"name: {evil}"}, {"text": f"{FILE}name: {evil}", "review": "yes"}):
        page = signed_in(people.vera).post(AT, posted).content.decode()
        assert "<script>alert" not in page
