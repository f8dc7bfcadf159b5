"""Which tracking server an attempt gets, what it finds of it, and what its page says."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from environments import actions as workspaces
from environments import delivery, serving
from jobs import tracking
from jobs.models import Attempt
from jobs.owner import JobOwner
from portal.accounts import secret_actions
from portal.accounts.secret_actions import NewSecret
from portal.compute.models import Allocation
from portal.compute.specs import render
from runtimes.base import VARIABLES
from tests.conftest import People

pytestmark = pytest.mark.django_db
Submit = Callable[..., Any]
Tick = Callable[..., None]


@pytest.fixture(autouse=True)
def door(settings: Any) -> None:
    settings.SERVICES_PORT = 8006


@pytest.fixture
def server(make_workspace: Submit, people: People, settle: Tick) -> Any:
    """Vision's, of luis, running."""
    made = serving.serve(make_workspace(people.luis, template="mlflow", name="experiments"), by=people.luis)
    settle()
    made.refresh_from_db()
    return made


def attempt_of(job: Any) -> Any:
    return Attempt.objects.select_related("allocation", "tracking").get(job=job)


def told(job: Any) -> dict[str, str]:
    """Variables that its script sets."""
    script = JobOwner().files(attempt_of(job).allocation).get(VARIABLES, b"").decode()
    return dict(line.removeprefix("export ").split("=", 1) for line in script.splitlines())


def _secret(owner: Any, name: str, value: str) -> None:
    new = NewSecret(name=name, value=value, kind="value", variable=True)
    secret_actions.add(owner, new, actor=owner.username)


def page(client: Client, job: Any) -> str:
    return client.get(f"/jobs/{job.pk}/").content.decode()


def test_a_job_gets_its_teams_server_while_that_runs(
    server: Any, submit: Submit, tick: Tick, people: People, signed_in: Any
) -> None:
    job = submit()
    tick()
    attempt = attempt_of(job)
    assert attempt.tracking == server
    found = told(job)
    assert found["MLFLOW_TRACKING_URI"] == f"http://berth.internal:8006/w/{server.pk.lower()}"
    assert found["MLFLOW_TRACKING_TOKEN"] == tracking.token_of(attempt.allocation)
    assert found["MLFLOW_RUN_CONTEXT"] == f"""'{{"berth_job": "{job.pk}", "mlflow.user": "vera"}}'"""
    shown = page(signed_in(people.vera), job)
    assert "experiments of Luis Okafor: running; its runs have the tag berth_job" in shown
    assert "Open MLflow" in shown
    assert "Open MLflow" not in page(signed_in(people.ada), job)


def test_the_token_is_in_a_file_and_nowhere_else(server: Any, submit: Submit, tick: Tick) -> None:
    job = submit()
    tick()
    allocation = attempt_of(job).allocation
    token, spec = tracking.token_of(allocation), render(allocation)
    assert spec.knows_host
    assert token not in repr(spec)
    assert token not in str(allocation.spec)
    assert token in JobOwner().hidden(allocation)
    assert token != tracking.token_of(Allocation(pk=allocation.pk, generation=2))


@pytest.mark.parametrize("end", [workspaces.stop, workspaces.suspend])
def test_of_a_server_that_does_not_run_it_gets_nothing_and_its_page_says_so(
    server: Any, submit: Submit, tick: Tick, settle: Tick, people: People, signed_in: Any, end: Any
) -> None:
    end(server, actor="luis")
    settle()
    job = submit()
    tick()
    assert attempt_of(job).tracking is None
    assert "MLFLOW_TRACKING_URI" not in told(job)
    assert "none: experiments was s" in page(signed_in(people.vera), job)


def test_without_one_nothing_is_said(submit: Submit, tick: Tick, people: People, signed_in: Any) -> None:
    job = submit()
    tick()
    assert VARIABLES not in JobOwner().files(attempt_of(job).allocation)
    assert "MLflow" not in page(signed_in(people.vera), job)


def test_another_team_gets_none_of_it(server: Any, submit: Submit, tick: Tick, people: People) -> None:
    job = submit(people.oda)
    tick()
    assert (attempt_of(job).tracking, told(job)) == (None, {})


def test_an_address_of_its_own_wins(server: Any, submit: Submit, tick: Tick, people: People) -> None:
    _secret(people.vera, "MLFLOW_TRACKING_URI", "https://mlflow.example.org")
    by_variable = submit(env={"MLFLOW_TRACKING_URI": "https://mlflow.example.org"})
    by_secret = submit(secrets=["MLFLOW_TRACKING_URI"])
    tick()
    for job in (by_variable, by_secret):
        assert attempt_of(job).tracking is None
        assert "MLFLOW_TRACKING_TOKEN" not in told(job)
    assert told(by_secret) == {"MLFLOW_TRACKING_URI": "https://mlflow.example.org"}


def test_tags_of_its_own_stay(server: Any, submit: Submit, tick: Tick) -> None:
    job = submit(env={"MLFLOW_RUN_CONTEXT": "{}"})
    tick()
    assert set(told(job)) == {"MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_TOKEN"}


def test_secrets_come_beside_it(server: Any, submit: Submit, tick: Tick, people: People) -> None:
    _secret(people.vera, "KEY", "s3cret-value")
    job = submit(secrets=["KEY"])
    tick()
    files = JobOwner().files(attempt_of(job).allocation)
    assert files[f"{delivery.SECRETS}/KEY"] == b"s3cret-value"
    assert {"KEY", "MLFLOW_TRACKING_URI"} <= set(told(job))


def test_where_nothing_can_be_reached_nothing_is_promised(
    server: Any, submit: Submit, tick: Tick, settings: Any
) -> None:
    settings.SERVICES_PORT = 0
    job = submit()
    tick()
    assert (attempt_of(job).tracking, attempt_of(job).tracking_note) == (None, "")
    assert not render(attempt_of(job).allocation).knows_host


def test_members_come_to_it_from_the_list_of_jobs(server: Any, people: People, signed_in: Any, settle: Tick) -> None:
    assert "MLflow of Vision" in signed_in(people.vera).get("/jobs/").content.decode()
    assert "MLflow of" not in signed_in(people.oda).get("/jobs/").content.decode()
    assert "MLflow of" not in signed_in(people.ada).get("/jobs/").content.decode()
    workspaces.stop(server, actor="luis")
    settle()
    assert "MLflow of" not in signed_in(people.vera).get("/jobs/").content.decode()


def test_the_form_says_where_jobs_log_to(server: Any, people: People, signed_in: Any) -> None:
    assert "experiments of Luis Okafor: running" in signed_in(people.vera).get("/jobs/new/").content.decode()
    assert "Logs to" not in signed_in(people.oda).get("/jobs/new/").content.decode()
