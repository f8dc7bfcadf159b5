"""What a job said of itself: numbers that are kept, thinned and plotted, and when it may end."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs import owner, pages
from jobs.models import Attempt, Job, Scalar
from jobs.states import J
from portal.compute.lines import Line
from portal.compute.models import Allocation
from portal.lib import clock

pytestmark = pytest.mark.django_db
Submit = Callable[..., Job]
Tick = Callable[..., None]


def said(job: Job, *texts: str, first: int = 1) -> None:
    """The log of its attempt is stored up to these lines."""
    row = Allocation.objects.get(attempt__job=job, attempt__counted=None)
    lines = [Line(seq, clock.now().isoformat(), "stdout", text) for seq, text in enumerate(texts, start=first)]
    owner.JobOwner().logged(row, lines)


def steps(job: Job, name: str) -> list[int]:
    return list(Scalar.objects.filter(job=job, name=name).order_by("seq").values_list("step", flat=True))


def test_a_number_without_a_step_goes_on_from_the_one_before(submit: Submit, tick: Tick) -> None:
    job = submit()
    tick(1)
    said(job, "::metric loss=1::", "::metric loss=2::", "::metric acc=1 step=7::")
    said(job, "::metric loss=3::", "::metric acc=2::", "::metric new=1::", first=4)
    assert (steps(job, "loss"), steps(job, "acc"), steps(job, "new")) == ([0, 1, 2], [7, 8], [0])
    assert Job.objects.get().scalar_count == 6


def test_there_is_an_end_to_what_is_kept(submit: Submit, tick: Tick, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner, "MOST_SCALARS", 5)
    job = submit()
    tick(1)
    for first in (1, 4, 7):
        said(job, *["::metric loss=1::"] * 3, first=first)
    assert steps(job, "loss") == [0, 1, 2, 3, 4]


def test_keeping_counts_nothing_of_what_is_there(submit: Submit, tick: Tick) -> None:
    job = submit()
    tick(1)
    with CaptureQueriesContext(connection) as asked:
        said(job, "::metric loss=1::", "::metric acc=1 step=2::")
    assert not [query["sql"] for query in asked if "COUNT(" in query["sql"]]


def test_a_long_series_is_thinned_and_its_last_value_is_the_last_one_told(submit: Submit, tick: Tick) -> None:
    job = submit()
    tick(1)
    attempt = Attempt.objects.get()
    told: dict[str, Any] = {"job": job, "attempt": attempt, "at": clock.now(), "name": "loss/train"}
    Scalar.objects.bulk_create(Scalar(seq=n + 1, step=n, value=n, **told) for n in range(1003))
    (plot,) = pages.plotted(job)
    assert plot["lines"] == [{"label": "train", "colour": 0, "last": "1002"}]
    assert "goes from" in plot["drawing"]
    assert plot["drawing"].count(",") < 700


def test_a_job_that_says_nothing_has_an_estimated_end_by_those_before_it(submit: Submit, tick: Tick) -> None:
    now = clock.now()
    for minutes in (8, 10, 90):
        earlier = {"state": J.SUCCEEDED, "begun_at": now - timedelta(minutes=minutes), "ended_at": now}
        Job.objects.filter(pk=submit(name="train").pk).update(begin_at=None, **earlier)
    job, alone = submit(name="train"), submit(name="other")
    tick(1)
    assert "your last jobs of this name took 10 min" in str(_facts(job)["Estimated end"])
    assert "Estimated end" not in _facts(alone)
    with clock.shifted(timedelta(minutes=11)):
        assert str(_facts(job)["Estimated end"]).startswith("later than usual")
    Job.objects.filter(pk=job.pk).update(progress=0.5)
    assert "Estimated end" not in _facts(job)


def _facts(job: Job) -> dict[str, Any]:
    fresh = Job.objects.get(pk=job.pk)
    return {row.label: row.value for row in pages.detail(fresh.owner, fresh)["facts"]}
