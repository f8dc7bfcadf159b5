"""The demo's made-up quarter: rows as they would be had it happened."""

from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from django.core.management import call_command
from django.test import Client

from jobs.models import Job
from portal import invariants
from portal.accounts.models import User
from portal.administration import history
from portal.usage.models import UsageInterval

UNTIL = datetime(2026, 11, 30, tzinfo=UTC)


def test_the_same_days_have_the_same_quarter() -> None:
    assert history.quarter(UNTIL) == history.quarter(UNTIL)


def test_it_is_believable() -> None:
    runs = history.quarter(UNTIL)
    assert 800 < len(runs) < 3000
    assert {run.person for run in runs} == set(history.PEOPLE)
    assert {run.reason for run in runs if run.kind == "job"} == set(history.ENDINGS)
    days = Counter(run.wished_at.weekday() for run in runs)
    assert max(days[5], days[6]) < min(days[n] for n in range(5)) / 2
    assert all(run.wished_at < run.started_at <= run.ended_at < UNTIL for run in runs)


def test_no_more_gpus_are_held_than_there_are_and_somebody_waits_for_one() -> None:
    runs = [run for run in history.quarter(UNTIL) if run.gpus]
    steps = sorted(
        [(run.ended_at, -run.gpus) for run in runs] + [(run.started_at - history.PULL, run.gpus) for run in runs]
    )
    held = 0
    for _, change in steps:
        held += change
        assert held <= history.DEVICES
    assert any(run.started_at - run.wished_at > 60 * history.PULL for run in runs)


def test_what_is_kept_is_believable_and_never_two_sizes_at_once() -> None:
    kept = history.kept(UNTIL)
    assert kept == history.kept(UNTIL)
    assert {one.username for one in kept} == {"", *(person.username for person in history.PEOPLE)}
    assert all(1 < one.gib < 1000 for one in kept)
    for one, following in pairwise(kept):
        assert one.ended_at == following.started_at or (one.ended_at, following.started_at) == (
            UNTIL,
            kept[0].started_at,
        )


def test_nobody_has_two_runs_of_a_workspace_at_once() -> None:
    for person in history.PEOPLE:
        runs = [run for run in history.quarter(UNTIL) if run.person == person and run.kind == "workspace"]
        assert all(one.ended_at <= other.started_at for one, other in pairwise(runs))


def test_pages_show_it_all_invariants_hold_and_a_second_time_changes_nothing(
    client: Client, catalog: None, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("seed_demo")
    call_command("seed_history")
    assert invariants.violations() == []
    client.force_login(User.objects.get(username="admin"))
    for page in ("/", "/jobs/", "/usage/?period=year", "/usage/?period=30&by=owner", "/people/teams/vision/"):
        assert client.get(page).status_code == 200
    for reason in history.ENDINGS:
        page = Job.objects.filter(reason=reason)[0].get_absolute_url()
        assert "Made up for the demo" in client.get(page).content.decode()
    counts = Job.objects.count(), UsageInterval.objects.count()
    call_command("seed_history")
    assert counts == (Job.objects.count(), UsageInterval.objects.count())
    assert "none is made up" in capsys.readouterr().out
