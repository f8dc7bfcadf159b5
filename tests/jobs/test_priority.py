"""Priorities of jobs: the order in which they get a place, and who may choose which."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils.html import escape

from jobs.models import Job
from portal.accounts.models import Team
from portal.compute.models import Node
from portal.lib.errors import Invalid
from tests.conftest import People

pytestmark = pytest.mark.django_db
SignIn = Callable[[Any], Client]
Submit = Callable[..., Job]
Tick = Callable[..., None]
REFUSED = "Only who leads Vision may give a job high priority: choose normal, or ask Luis Okafor to submit it."


def under_way() -> set[str]:
    return set(Job.objects.exclude(state="queued").values_list("name", flat=True))


def test_places_are_given_by_priority(people: People, submit: Submit, tick: Tick) -> None:
    Node.objects.update(schedulable_cpu=Decimal(2))
    for priority in ("low", "normal", "high"):
        submit(people.luis, name=priority, priority=priority)
    tick()
    assert under_way() == {"high", "normal"}


def test_a_workspace_goes_before_jobs(
    people: People, submit: Submit, make_workspace: Callable[..., Any], tick: Tick
) -> None:
    Node.objects.update(schedulable_cpu=Decimal(1))
    submit(people.luis, priority="high")
    workspace = make_workspace()
    tick()
    workspace.refresh_from_db()
    assert (workspace.allocation.phase, under_way()) == ("running", set())


def test_high_is_for_leads_and_staff(people: People, submit: Submit) -> None:
    from portal.accounts.actions import add_member
    from portal.accounts.models import Role

    with pytest.raises(Invalid) as refused:
        submit(people.vera, priority="high")
    assert refused.value.fields == {"priority": [REFUSED]}
    add_member(Team.objects.get(slug="vision"), people.ada, Role.MEMBER, actor="test")
    assert submit(people.luis, priority="high").priority == "high"
    assert submit(people.ada, priority="high").priority == "high"


def test_a_lead_of_another_team_may_not(people: People, submit: Submit) -> None:
    from portal.accounts.actions import add_member
    from portal.accounts.models import Role

    add_member(Team.objects.get(slug="risk"), people.luis, Role.MEMBER, actor="test")
    with pytest.raises(Invalid) as refused:
        submit(people.luis, priority="high", team="risk")
    assert "choose normal, or ask an administrator to submit it" in refused.value.detail


def test_the_form_offers_high_to_those_who_may(people: People, catalog: None, signed_in: SignIn) -> None:
    offered = '<option value="high"'
    assert offered not in signed_in(people.vera).get("/jobs/new/").content.decode()
    assert offered in signed_in(people.luis).get("/jobs/new/").content.decode()


def test_the_form_says_why_it_is_refused(people: People, catalog: None, signed_in: SignIn) -> None:
    posted = {"template": "python", "command": "true", "priority": "high"}
    response = signed_in(people.vera).post("/jobs/new/", posted)
    assert response.status_code == 422
    assert escape(REFUSED) in response.content.decode()


def test_a_high_job_of_former_rights_is_shown_as_it_was(people: People, submit: Submit, signed_in: SignIn) -> None:
    job = submit()
    Job.objects.filter(pk=job.pk).update(priority="high")
    page = signed_in(people.vera).get(f"/jobs/new/?job={job.pk}").content.decode()
    assert '<option value="high" selected>' in page
