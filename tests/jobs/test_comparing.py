"""Jobs side by side, and the attempts of one."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from jobs import comparing
from jobs.comparing import Line
from jobs.models import Attempt, Job, Scalar
from portal.compute.logs import ChunkWriter
from portal.compute.models import Allocation
from portal.lib import clock
from runtimes.base import LogLine
from runtimes.fake_engine import FakeEngine
from tests.conftest import People
from tests.jobs.test_life import ends

pytestmark = pytest.mark.django_db
SignIn = Callable[[Any], Client]
Submit = Callable[..., Job]
Tick = Callable[..., None]


def tell(job: Job, name: str, *values: float) -> None:
    """As if its newest attempt had said these."""
    attempt = Attempt.objects.filter(job=job).latest("number")
    for step, value in enumerate(values):
        Scalar.objects.create(job=job, attempt=attempt, seq=step + 1, name=name, step=step, value=value, at=clock.now())


def lines_of(*jobs: Job) -> dict[str, Line]:
    found = [Job.objects.get(pk=job.pk) for job in jobs]
    return {line.label: line for section in comparing.sections(found) for line in section.lines}


def test_what_differs_is_marked(submit: Submit, tick: Tick, fake_engine: FakeEngine) -> None:
    ends(fake_engine, "python", "train.py", exit_code=0)
    one = submit(parameters={"lr": 0.1, "depth": 3})
    two = submit(parameters={"lr": 0.5}, command=["python", "other.py"])
    tick()
    tell(one, "loss", 0.9, 0.2, 0.4)
    lines = lines_of(one, two)
    assert (lines["State"].values, lines["State"].differs) == (["Succeeded", "Running"], True)
    assert (lines["lr"].values, lines["depth"].values) == (["0.1", "0.5"], ["3", ""])
    assert lines["loss, last"].values == ["0.4", ""]
    assert (lines["loss, least"].values, lines["loss, greatest"].values) == (["0.2", ""], ["0.9", ""])
    assert lines["Command"].values == ["python train.py", "python other.py"]
    assert not lines["Environment"].differs
    assert not lines["Size"].differs


def test_the_page_compares_two_to_five_in_the_order_asked_for(
    people: People, submit: Submit, signed_in: SignIn
) -> None:
    jobs = [submit(name=f"job {number}") for number in range(6)]
    client = signed_in(people.vera)
    page = client.get("/jobs/compare/", {"job": [jobs[2].pk, jobs[0].pk, jobs[2].pk]})
    assert [job.name for job in page.context["jobs"]] == ["job 2", "job 0"]
    assert '<th scope="col">' in page.content.decode()
    for wanted in (jobs[:1], jobs):
        refused = client.get("/jobs/compare/", {"job": [job.pk for job in wanted]}, follow=True)
        assert refused.redirect_chain == [("/jobs/", 302)]
        assert "Select 2 to 5 jobs to compare them." in refused.content.decode()


def test_each_job_must_be_one_that_may_be_seen(people: People, bo: Any, submit: Submit, signed_in: SignIn) -> None:
    pair = {"job": [submit().pk, submit(bo).pk]}
    asked = {who.username: signed_in(who).get("/jobs/compare/", pair).status_code for who in (people.oda, bo)}
    assert asked == {"oda": 404, "bo": 403}
    assert signed_in(people.luis).get("/jobs/compare/", pair).status_code == 200


def write(number: int, text: str) -> None:
    row = Allocation.objects.get(attempt__number=number)
    writer = ChunkWriter(row)
    writer.add(LogLine(clock.now(), "stdout", text))
    writer.flush()


def test_each_attempt_has_a_page_with_its_own_log(
    people: People, bo: Any, submit: Submit, tick: Tick, fake_engine: FakeEngine, signed_in: SignIn
) -> None:
    job = submit(retries=1, retry_delay_seconds=0)
    tick(1)
    fake_engine.end(_running(), 3)
    tick()
    write(1, "of the first")
    write(2, "of the second")
    client, path = signed_in(people.vera), f"/jobs/{job.pk}/attempts"
    first, second = (client.get(f"{path}/{number}/").content.decode() for number in (1, 2))
    assert ("of the first" in first, "of the second" in first) == (True, False)
    assert f'data-tail="/live/jobs/{job.pk}/log/2/"' in second
    assert "of the <mark>first</mark>" in client.get(f"{path}/1/log/?search=first").content.decode()
    both = client.get(f"{path}/?a=1&b=2").content.decode()
    assert "of the first" in both
    assert "of the second" in both
    shown = client.get(f"{path}/").context
    assert (shown["a"], shown["b"]) == (1, 2)
    assert f'href="{path}/1/"' in client.get(f"/jobs/{job.pk}/").content.decode()
    for wrong in ("/3/", "/3/log/", "/?a=1&b=3", "/?a=x", f"/{10**30}/"):
        assert client.get(path + wrong).status_code == 404
    assert [signed_in(who).get(f"{path}/1/").status_code for who in (bo, people.oda)] == [403, 404]
    assert [signed_in(who).get(f"{path}/").status_code for who in (bo, people.oda)] == [403, 404]


def _running() -> str:
    from portal.compute.specs import container_name

    return container_name(Allocation.objects.get(attempt__counted=None))
