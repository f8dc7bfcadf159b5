"""What a job found of its datasets is in its record, and what has changed since is said."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from environments.models import Dataset
from jobs import actions, data_use
from jobs.comparing import sections
from jobs.models import Job
from portal.lib import clock
from runtimes.fake_engine import FakeEngine
from tests.conftest import People
from tests.jobs.data import iris, looked
from tests.jobs.test_life import ends

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("standing_still")]
Submit = Callable[..., Job]
Tick = Callable[..., None]


@pytest.fixture
def data(db: None) -> Dataset:
    found = iris()
    looked("one")
    return found


def found_by(job: Job) -> list[str]:
    return list(map(str, data_use.found_by(Job.objects.get(pk=job.pk))))


def page(client: Client, job: Job) -> str:
    return " ".join(client.get(job.get_absolute_url()).content.decode().split())


def test_it_records_what_was_there_when_it_began(
    data: Dataset, submit: Submit, tick: Tick, fake_engine: FakeEngine
) -> None:
    ends(fake_engine, "quick", exit_code=0)
    first = submit(command=["quick"], inputs=["iris"])
    other = submit(command=["quick"])
    looked("two", minutes=1)
    assert found_by(first) == []
    tick()
    looked("three", minutes=2)
    assert found_by(first) == ["iris:2"]
    assert found_by(other) == []


def test_each_attempt_adds_what_it_found(data: Dataset, submit: Submit, tick: Tick, fake_engine: FakeEngine) -> None:
    ends(fake_engine, "fails", exit_code=1)
    job = submit(command=["fails"], inputs=["iris"], retries=1, retry_delay_seconds=60)
    tick()
    looked("two", minutes=1)
    with clock.shifted(timedelta(minutes=2)):
        tick()
    job.refresh_from_db()
    assert (job.attempts.count(), job.state) == (2, "failed")
    assert found_by(job) == ["iris:1", "iris:2"]
    assert data_use.text(job) == "/data/iris (iris:1, iris:2)"
    assert data_use.changed(job) == ""


def test_who_may_no_longer_read_it_found_nothing(
    data: Dataset, submit: Submit, tick: Tick, fake_engine: FakeEngine
) -> None:
    job = submit(inputs=["iris"], after=[submit().pk])
    Dataset.objects.update(teams=[])
    actions.cancel(Job.objects.get(pk=job.after.get().pk), actor="vera")
    Job.objects.filter(pk=job.pk).update(hold="", begin_at=clock.now())
    tick()
    job.refresh_from_db()
    assert job.begun_at is not None
    assert found_by(job) == []


def test_its_page_says_what_has_changed_since(
    data: Dataset, submit: Submit, tick: Tick, fake_engine: FakeEngine, people: People, signed_in: Any
) -> None:
    ends(fake_engine, "quick", exit_code=0)
    job, client = submit(command=["quick"], inputs=["iris"]), signed_in(people.vera)
    tick()
    shown = page(client, job)
    assert "/data/iris (iris:1)" in shown
    assert "has changed since" not in shown
    looked("two", minutes=1)
    sentence = "Its data has changed since: it read iris:1, and now there is iris:2."
    assert sentence in page(client, job)
    again = client.post(f"{job.get_absolute_url()}rerun/", follow=True)
    assert sentence in " ".join(again.content.decode().split())
    tick()
    made = Job.objects.get(rerun_of=job)
    assert found_by(made) == ["iris:2"]
    looked("two", minutes=2)
    assert "has changed since" not in page(client, made)
    lines = {line.label: line for section in sections([job, made]) for line in section.lines}
    assert lines["Data"].differs


def test_running_the_same_data_again_says_nothing(
    data: Dataset, submit: Submit, tick: Tick, fake_engine: FakeEngine, people: People, signed_in: Any
) -> None:
    job = submit(inputs=["iris"])
    tick()
    again = signed_in(people.vera).post(f"{job.get_absolute_url()}rerun/", follow=True)
    assert "has changed since" not in again.content.decode()
