"""Pages of models: kept by a form, with their lineage and users, by whom they may be seen."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from jobs import actions, model_files
from jobs.model_models import ModelVersion
from jobs.models import Job
from tests.conftest import People
from tests.jobs.leaving import Leaving, folder_of
from tests.jobs.plans import tell

pytestmark = pytest.mark.django_db
SignIn = Callable[[Any], Client]
KEEP = {"name": "churn-model", "path": "outputs/model.pkl", "note": "the first"}
MODEL = "/jobs/models/vision/churn-model/"


def text(response: Any) -> str:
    return " ".join(response.content.decode().split())


def fill(leaving: Leaving) -> None:
    for version in ModelVersion.objects.all():
        folder_of(version.volume, leaving.volumes)
    while model_files.fill_one():
        pass


def test_an_empty_list_teaches(people: People, catalog: None, signed_in: SignIn) -> None:
    page = text(signed_in(people.vera).get("/jobs/models/"))
    assert "No model yet" in page
    assert 'aria-current="page">Models</a>' in page


def test_a_model_is_kept_by_the_form_and_seen_with_its_lineage(
    leaving: Leaving, submit: Any, signed_in: SignIn, people: People
) -> None:
    job = leaving({"outputs/model.pkl": "weights"}, name="train churn-net", parameters={"lr": 0.1})
    tell(job, 0.5, 0.25)
    client = signed_in(people.vera)
    assert f'href="/jobs/{job.pk}/keep/"' in text(client.get(f"/jobs/{job.pk}/"))
    form = text(client.get(f"/jobs/{job.pk}/keep/"))
    assert '<option value="outputs">outputs</option>' in form
    assert '<option value="outputs/model.pkl">' in form
    answer = client.post(f"/jobs/{job.pk}/keep/", KEEP)
    assert answer.headers["Location"] == f"{MODEL}1/"
    assert "Being kept" in text(client.get(f"{MODEL}1/"))
    fill(leaving)
    submit(name="predict", command=["predict"], models=["churn-model:1"])
    page = text(client.get(f"{MODEL}1/"))
    lineage = ("lr 0.1", f'href="/jobs/{job.pk}/">train churn-net</a>', "<dt>loss</dt><dd>0.25")
    for shown in ("the first", ">predict</a>", *lineage):
        assert shown in page
    assert b"".join(client.get(f"{MODEL}1/download/")) == b"weights"
    assert "churn-model:1" in text(client.get(MODEL))
    assert "Newest: churn-model:1 · 1 version" in text(client.get("/jobs/models/"))
    own = text(client.get(f"/jobs/{job.pk}/"))
    assert f'Kept as <a href="{MODEL}1/">churn-model:1</a>' in own
    assert "Let them go" not in own


def test_what_the_form_refuses_stands_beside_its_field(leaving: Leaving, signed_in: SignIn, people: People) -> None:
    job = leaving({"outputs/model.pkl": "weights"})
    client = signed_in(people.vera)
    for wrong, sentence in (
        ({"name": "Churn Model"}, "Use 1 to 60 small letters, digits and hyphens"),
        ({"path": "outputs/other"}, "outputs/other is not one of the available choices"),
        ({"name": ""}, "This field is required"),
    ):
        answer = client.post(f"/jobs/{job.pk}/keep/", KEEP | wrong)
        assert answer.status_code == 422
        assert sentence in text(answer)
    assert not ModelVersion.objects.exists()


def test_members_see_and_download_and_strangers_learn_nothing(
    leaving: Leaving, signed_in: SignIn, people: People, bo: Any
) -> None:
    job = leaving({"outputs/model.pkl": "weights"})
    signed_in(people.vera).post(f"/jobs/{job.pk}/keep/", KEEP)
    fill(leaving)
    paths = (MODEL, f"{MODEL}1/", f"{MODEL}1/download/")
    client = signed_in(bo)
    assert [client.get(path).status_code for path in paths] == [200, 200, 200]
    page = text(client.get(f"{MODEL}1/"))
    assert f"/jobs/{job.pk}/" not in page
    assert "delete/" not in page
    assert client.post(f"{MODEL}1/delete/").status_code == 403
    assert client.post(f"/jobs/{job.pk}/keep/", KEEP).status_code == 403
    client = signed_in(people.oda)
    assert [client.get(path).status_code for path in paths] == [404, 404, 404]
    assert client.post(f"{MODEL}1/delete/").status_code == 404
    assert "churn-model" not in text(client.get("/jobs/models/"))
    client = signed_in(people.ada)
    assert [client.get(path).status_code for path in paths] == [200, 200, 403]


def test_deleting_says_what_is_lost_and_is_refused_while_it_is_used(
    leaving: Leaving, submit: Any, signed_in: SignIn, people: People
) -> None:
    job = leaving({"outputs/model.pkl": "weights"}, name="train churn-net")
    client = signed_in(people.vera)
    client.post(f"/jobs/{job.pk}/keep/", KEEP)
    fill(leaving)
    using = submit(name="predict", command=["predict"], models=["churn-model:1"], after=[submit().pk])
    question = text(client.get(f"{MODEL}1/delete/"))
    assert "outputs/model.pkl: 1 file, 7 bytes, as this version" in question
    assert "The files of the job train churn-net, until somebody lets them go" in question
    assert "churn-model:1 is used by predict" in text(client.post(f"{MODEL}1/delete/", follow=True))
    actions.cancel(Job.objects.get(pk=using.pk), actor="vera")
    assert "churn-model:1 is deleted." in text(client.post(f"{MODEL}1/delete/", follow=True))
    assert client.get(f"{MODEL}1/download/").status_code == 409
    assert "Let them go" in text(client.get(f"/jobs/{job.pk}/"))


def test_the_form_of_a_job_takes_models_and_names_one_to_keep(
    leaving: Leaving, signed_in: SignIn, people: People
) -> None:
    job = leaving({"outputs/model.pkl": "weights"})
    client = signed_in(people.vera)
    client.post(f"/jobs/{job.pk}/keep/", KEEP)
    fill(leaving)
    posted = {"template": "python", "command": "python predict.py", "size": "small"}
    posted["models"] = "churn-model, churn-model:1"
    kept = {"model.name": "second", "model.path": "outputs/second.pkl"}
    made = client.post("/jobs/new/", posted | kept).headers["Location"].split("/")[2]
    found = Job.objects.get(pk=made)
    assert [str(one) for one in found.used_models.all()] == ["churn-model:1"]
    assert (found.keep_as, found.keep_path) == ("second", "outputs/second.pkl")
    again = text(client.get(f"/jobs/new/?job={made}"))
    for value in ("churn-model:1", "second", "outputs/second.pkl"):
        assert f'value="{value}"' in again
    refused = text(client.post("/jobs/new/", posted | {"models": "nope", "model.name": "X Y", "model.path": "a"}))
    assert "Use 1 to 60 small letters" in refused


def test_lists_cost_a_fixed_number_of_queries(
    leaving: Leaving, signed_in: SignIn, people: People, django_assert_max_num_queries: Any
) -> None:
    job = leaving({"outputs/model.pkl": "weights"})
    client = signed_in(people.vera)
    for number in range(6):
        client.post(f"/jobs/{job.pk}/keep/", KEEP)
        client.post(f"/jobs/{job.pk}/keep/", KEEP | {"name": f"other-{number}"})
    for path in ("/jobs/models/", MODEL, f"{MODEL}1/"):
        with django_assert_max_num_queries(16):
            assert client.get(path).status_code == 200
