"""Pages of jobs: the list, the form with its errors, one job with all it left, and who may see and do what."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils.html import escape

from jobs import actions
from jobs.form_lines import parameters_of, scalar
from jobs.models import Artifact, Attempt, Job, Scalar
from jobs.states import J
from jobs.submission import SHELL, script, written
from portal.lib import clock
from tests.conftest import People
from tests.jobs.test_life import ends, now_running

pytestmark = pytest.mark.django_db
SignIn = Callable[[Any], Client]
Submit = Callable[..., Job]
Tick = Callable[..., None]


def text(response: Any) -> str:
    return " ".join(response.content.decode().split())


def test_an_empty_list_teaches(people: People, catalog: None, signed_in: SignIn) -> None:
    page = text(signed_in(people.vera).get("/jobs/"))
    assert "No job yet" in page
    assert 'href="/jobs/new/"' in page


def test_the_form_submits_and_leads_to_the_job(people: People, catalog: None, signed_in: SignIn) -> None:
    client = signed_in(people.vera)
    page = text(client.get("/jobs/new/"))
    assert '<option value="python" selected>' in page
    posted = {
        "template": "python",
        "command": "pip list\r\npython train.py --lr {parameters.lr}",
        "parameters": "lr=0.01\namp=true\nname=a=b",
        "size": "small",
        "outputs": "outputs\nplots",
        "max_duration_minutes": "30",
        "retries": "2",
    }
    response = client.post("/jobs/new/", posted)
    job = Job.objects.get()
    assert response.headers["Location"] == f"/jobs/{job.pk}/"
    assert job.command == [*SHELL, "pip list\npython train.py --lr {parameters.lr}"]
    assert job.parameters == {"lr": 0.01, "amp": True, "name": "a=b"}
    assert (job.outputs, job.max_duration_seconds, job.retries) == (["outputs", "plots"], 1800, 2)
    assert job.name == "train.py"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"command": ""}, "Say what it runs, such as “python train.py”."),
        ({"command": "echo {parameters.x}"}, "There is no parameter “x” to fill in for {parameters.x}."),
        ({"command": "x\0y"}, "Null characters are not allowed."),
        ({"parameters": "lr"}, "Line 1: write it as name=value."),
        ({"parameters": "lr=1\nlr=2"}, "Line 2: lr is there already."),
        ({"parameters": "1x=2"}, "“1x” cannot be a name: use letters, digits and _."),
        ({"size": "huge"}, "Python cannot run as “huge”."),
        ({"outputs": "/etc"}, "“/etc” must be a path inside the working folder"),
        ({"outputs": "../../x"}, "“../../x” must be a path inside the working folder"),
        ({"git.url": "ftp://x/y"}, "This is not the address of a repository."),
        ({"git.ref": "main"}, "Name the repository too, or leave this empty."),
        ({"max_duration_minutes": "0"}, "Ensure this value is greater than or equal to 1."),
        ({"max_duration_minutes": "999999"}, "Choose a number from 1 to 2,592,000."),
        ({"retries": "11"}, "Ensure this value is less than or equal to 10."),
        ({"env": "BERTH_X=1"}, "cannot be used as a variable name here"),
        ({"template": ""}, "Say in which environment it runs, such as “python”, or in which image."),
        ({"secrets": "nope"}, "There is no secret “nope”"),
        ({"priority": "urgent"}, "urgent is not one of the available choices"),
    ],
)
def test_bad_input_is_named_beside_its_field_and_kept(
    people: People, catalog: None, signed_in: SignIn, values: dict[str, str], sentence: str
) -> None:
    posted = {"template": "python", "command": "true", "name": "kept name"} | values
    response = signed_in(people.vera).post("/jobs/new/", posted)
    assert response.status_code == 422
    assert escape(sentence) in text(response)
    assert 'value="kept name"' in text(response)
    assert not Job.objects.exists()


def test_the_preview_follows_the_form_and_does_nothing(people: People, catalog: None, signed_in: SignIn) -> None:
    posted = {"template": "python", "size": "large", "max_duration_minutes": "60"}
    page = text(signed_in(people.vera).post("/jobs/new/preview/", posted))
    assert "at most €" in page
    assert not Job.objects.exists()


def test_a_job_shows_what_it_did(
    people: People, submit: Submit, tick: Tick, fake_engine: Any, signed_in: SignIn
) -> None:
    job = submit(command=script("python train.py"), parameters={"lr": 0.5})
    tick()
    attempt = Attempt.objects.get(job=job)
    for step in range(5):
        values = {"seq": step + 1, "step": step, "value": 1 / (step + 1), "at": clock.now()}
        Scalar.objects.create(job=job, attempt=attempt, name="loss/train", **values)
    Job.objects.filter(pk=job.pk).update(progress=0.64)
    client = signed_in(people.vera)
    page = text(client.get(f"/jobs/{job.pk}/"))
    assert "64 %" in page
    assert "loss: train goes from 1 to 0.2, least 0.2." in page
    assert "python train.py" in page
    fake_engine.end(now_running(job), 0)
    tick()
    Artifact.objects.create(job=job, path="code/outputs/model.pkl", size=2048, sha256="ab" * 32)
    page = text(client.get(f"/jobs/{job.pk}/"))
    assert "Succeeded" in page
    assert f'href="/files/job-{job.pk.lower()}/download/code/outputs/model.pkl"' in page
    for name in ("header", "facts", "plots", "use", "log", "attempts", "artifacts", "row"):
        assert client.get(f"/jobs/{job.pk}/part/{name}/").status_code == 200
    assert client.get(f"/jobs/{job.pk}/part/nope/").status_code == 404


def test_a_failure_says_why_and_runs_again_with_one_click(
    people: People, submit: Submit, tick: Tick, fake_engine: Any, signed_in: SignIn
) -> None:
    ends(fake_engine, "bad", exit_code=3)
    job = submit(command=["bad"])
    tick()
    client = signed_in(people.vera)
    page = text(client.get(f"/jobs/{job.pk}/"))
    assert "The process ended with exit code 3." in page
    again = client.post(f"/jobs/{job.pk}/rerun/").headers["Location"]
    assert again != f"/jobs/{job.pk}/"
    assert Job.objects.filter(rerun_of=job).count() == 1
    page = text(client.get(f"/jobs/new/?job={job.pk}"))
    assert ">bad</textarea>" in page.replace("> bad", ">bad")


def test_cancel_ends_it(people: People, submit: Submit, tick: Tick, signed_in: SignIn) -> None:
    job = submit()
    tick()
    signed_in(people.vera).post(f"/jobs/{job.pk}/cancel/")
    tick()
    job.refresh_from_db()
    assert job.state == J.CANCELLED


def test_strangers_see_nothing_leads_and_staff_what_they_may(
    people: People, bo: Any, submit: Submit, tick: Tick, signed_in: SignIn
) -> None:
    job = submit()
    tick()
    asked = {
        who: signed_in(who).get(f"/jobs/{job.pk}/").status_code for who in (people.oda, bo, people.luis, people.ada)
    }
    assert list(asked.values()) == [404, 403, 200, 200]
    assert signed_in(people.oda).post(f"/jobs/{job.pk}/cancel/").status_code == 404
    assert signed_in(bo).post(f"/jobs/{job.pk}/cancel/").status_code == 403
    assert signed_in(people.ada).post(f"/jobs/{job.pk}/rerun/").status_code == 403
    assert job.name in text(signed_in(people.luis).get("/jobs/?owner=all"))
    assert job.name not in text(signed_in(people.oda).get("/jobs/?owner=all"))


def test_the_list_asks_as_often_for_many_as_for_few(
    people: People, submit: Submit, signed_in: SignIn, django_assert_max_num_queries: Any
) -> None:
    for _ in range(3):
        submit()
    client = signed_in(people.vera)
    client.get("/jobs/")
    with django_assert_max_num_queries(100) as few:
        client.get("/jobs/")
    for _ in range(20):
        submit()
    with django_assert_max_num_queries(len(few)):
        client.get("/jobs/")


def test_run_this_as_a_job_begins_with_the_workspace(
    people: People, make_workspace: Callable[..., Any], signed_in: SignIn
) -> None:
    workspace = make_workspace()
    page = text(signed_in(people.vera).get(f"/jobs/new/?workspace={workspace.pk}&folder=churn"))
    assert f'<option value="workspace:{workspace.pk}" selected>' in page
    assert 'value="churn"' in page


def test_commands_are_shown_as_they_are_written() -> None:
    assert written(script("a\nb")) == "a\nb"
    assert written(["python", "x y.py"]) == "python 'x y.py'"
    assert [scalar(one) for one in ("1", "1e-3", "true", "x", "1.0")] == [1, 0.001, True, "x", 1.0]
    assert parameters_of("a = 1\n\n b=x ") == {"a": 1, "b": "x"}


def test_pinned_files_stay(people: People, submit: Submit, tick: Tick, fake_engine: Any, signed_in: SignIn) -> None:
    ends(fake_engine, "true", exit_code=0)
    job, kept = submit(command=["true"]), submit(command=["true"])
    tick()
    Artifact.objects.create(job=kept, path="outputs/x", size=1, sha256="ab" * 32)
    signed_in(people.vera).post(f"/jobs/{kept.pk}/pin/")
    with clock.shifted(timedelta(days=91)):
        actions.forget_files()
    job.refresh_from_db()
    kept.refresh_from_db()
    assert (job.artifacts_state, kept.artifacts_state) == ("removed", "waiting")
    assert job.volume.delete_requested_at is not None
    assert kept.volume.delete_requested_at is None


def test_home_shows_what_is_not_over(people: People, submit: Submit, signed_in: SignIn) -> None:
    job = submit(name="train churn-net")
    client = signed_in(people.vera)
    assert "train churn-net" in text(client.get("/"))
    actions.cancel(job, actor="vera")
    Job.objects.filter(pk=job.pk).update(state=J.CANCELLED, ended_at=clock.now())
    assert "train churn-net" not in text(client.get("/"))


def test_without_any_environment_the_form_says_so(people: People, signed_in: SignIn) -> None:
    response = signed_in(people.vera).get("/jobs/new/")
    assert response.status_code == 404
    assert "There is no environment for your teams yet." in text(response)
