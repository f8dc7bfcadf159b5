"""The list of jobs: filters, saved views, and what is done to those that are selected or found."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from jobs import access, actions, cancelling
from jobs.access import Right
from jobs.models import Job
from jobs.states import FINAL, J
from portal.accounts import saved_views
from portal.accounts.models import SavedView
from portal.audit.models import AuditEvent
from portal.lib import clock
from portal.lib.errors import Invalid
from tests.conftest import People

pytestmark = pytest.mark.django_db
SignIn = Callable[[Any], Client]
Submit = Callable[..., Job]
Tick = Callable[..., None]


def names(client: Client, query: str) -> set[str]:
    """Of the jobs that the list shows."""
    page = client.get(f"/jobs/?{query}")
    assert page.status_code == 200
    return {card.name for card in page.context["cards"]}


def state_of(job: Job) -> str:
    return Job.objects.get(pk=job.pk).state


def make_state(job: Job, state: J) -> None:
    Job.objects.filter(pk=job.pk).update(state=state, ended_at=clock.now() if state in FINAL else None, begin_at=None)


def test_there_is_a_filter_for_each_state(people: People, submit: Submit, signed_in: SignIn) -> None:
    for state in J:
        make_state(submit(name=f"a job {state}"), state)
    client = signed_in(people.vera)
    assert len(names(client, "")) == len(J)
    for state in J:
        assert names(client, f"state={state}") == {f"a job {state}"}
    chips = client.get("/jobs/?state=lost").context["filters"]
    assert {chip.label: (chip.count, chip.current) for chip in chips}["Lost"] == (1, True)
    assert chips[0].count == len(J)


def test_it_finds_by_a_part_of_the_name_template_team_and_owner(
    people: People, bo: Any, submit: Submit, signed_in: SignIn
) -> None:
    submit(name="Train churn-net")
    submit(name="evaluate")
    submit(bo, name="of bo")
    submit(people.oda, name="of oda")
    assert names(signed_in(people.vera), "search=CHURN") == {"Train churn-net"}
    assert names(signed_in(people.vera), "template=python&team=vision") == {"Train churn-net", "evaluate"}
    assert names(signed_in(people.vera), "owner=all") == {"Train churn-net", "evaluate"}
    assert names(signed_in(people.vera), "owner=vera") == {"Train churn-net", "evaluate"}
    assert names(signed_in(people.luis), "owner=bo") == {"of bo"}
    assert names(signed_in(people.luis), "owner=all") == {"Train churn-net", "evaluate", "of bo"}
    assert names(signed_in(people.ada), "owner=oda&team=risk") == {"of oda"}


def test_leads_are_offered_their_people_and_others_nobody(people: People, bo: Any, signed_in: SignIn) -> None:
    def offered(user: Any) -> list[str]:
        return [value for value, _ in signed_in(user).get("/jobs/").context["choices"]["owner"]]

    assert offered(people.vera) == []
    assert offered(people.luis) == ["all", "bo", "vera"]
    assert {"all", "oda", "vera"} <= set(offered(people.ada))


@pytest.mark.parametrize("query", ["state=nope", "team=nope", "template=nope", "since=nope", "search=%00", "owner=oda"])
def test_a_filter_that_makes_no_sense_is_refused(people: People, catalog: None, signed_in: SignIn, query: str) -> None:
    assert signed_in(people.vera).get(f"/jobs/?{query}").status_code == 422


def test_a_view_is_saved_shown_and_forgotten(people: People, submit: Submit, signed_in: SignIn) -> None:
    client = signed_in(people.vera)
    posted = {"view": "Broken nets", "state": "failed", "search": "net", "owner": "", "page": "7"}
    assert client.post("/jobs/views/save/", posted).headers["Location"] == "/jobs/?state=failed&search=net"
    (view,) = SavedView.objects.all()
    assert (view.user, view.name, view.query) == (people.vera, "Broken nets", "state=failed&search=net")
    page = client.get("/jobs/").content.decode()
    assert 'href="?state=failed&amp;search=net"' in page
    assert "Broken nets" not in signed_in(people.luis).get("/jobs/").content.decode()
    signed_in(people.luis).post(f"/jobs/views/{view.pk}/forget/")
    assert SavedView.objects.exists()
    signed_in(people.vera).post(f"/jobs/views/{view.pk}/forget/")
    assert not SavedView.objects.exists()


def test_a_view_of_the_same_name_takes_the_place_of_the_other_and_there_is_an_end(people: People) -> None:
    for query in ("state=lost", "state=failed"):
        saved_views.save(people.vera, "jobs", "Mine", query, actor="vera")
    assert SavedView.objects.get().query == "state=failed"
    for number in range(saved_views.MOST - 1):
        saved_views.save(people.vera, "jobs", f"view {number}", "", actor="vera")
    saved_views.save(people.vera, "jobs", "Mine", "", actor="vera")
    for name in ("one more", " ", "x" * 41, "a\nb"):
        with pytest.raises(Invalid):
            saved_views.save(people.vera, "jobs", name, "", actor="vera")


def test_those_that_are_selected_are_cancelled_and_each_refusal_is_named(
    people: People, bo: Any, submit: Submit, signed_in: SignIn
) -> None:
    first, second, stays, over = (submit(name=name) for name in ("one", "two", "three", "four"))
    foreign, unseen = submit(bo, name="of bo"), submit(people.oda, name="of oda")
    make_state(over, J.SUCCEEDED)
    client = signed_in(people.vera)
    posted = [job.pk for job in (first, second, over, foreign, unseen)]
    page = client.post("/jobs/cancel/?state=queued", {"job": posted}, follow=True)
    assert page.redirect_chain == [("/jobs/?state=queued", 302)]
    assert [str(message) for message in page.context["messages"]] == [
        "2 jobs cancelled.",
        "four was over already: succeeded.",
        "of bo belongs to Bo Lind.",
        "There is no such job, or it is not yours.",
    ]
    assert set(Job.objects.exclude(cancelled_by="").values_list("name", flat=True)) == {"one", "two"}
    assert state_of(stays) == J.QUEUED


def test_those_that_are_selected_are_looked_up_together(
    people: People, submit: Submit, django_assert_max_num_queries: Any
) -> None:
    jobs = [submit() for _ in range(5)]
    with django_assert_max_num_queries(1):
        found = access.jobs_for(people.vera, [job.pk.lower() for job in jobs], Right.CANCEL)
    assert list(found.items()) == [(job.pk.lower(), job) for job in jobs]


def test_with_none_selected_none_is_cancelled(people: People, submit: Submit, signed_in: SignIn) -> None:
    job = submit()
    signed_in(people.vera).post("/jobs/cancel/")
    assert state_of(job) == J.QUEUED


def test_all_that_are_found_are_cancelled_after_a_question(
    people: People, submit: Submit, tick: Tick, signed_in: SignIn
) -> None:
    found, other = [submit(name=f"net {number}") for number in range(3)], submit(name="other")
    client = signed_in(people.vera)
    assert client.get("/jobs/?search=net").context["cancel_all"]["number"] == 3
    question = client.get("/jobs/cancel/found/?search=net")
    assert "Cancel 3 jobs?" in question.content.decode()
    assert Job.objects.filter(cancelled_by="").count() == 4
    assert client.post("/jobs/cancel/found/?search=net").headers["Location"] == "/jobs/?search=net"
    tick()
    assert [state_of(job) for job in found] == [J.CANCELLED] * 3
    assert state_of(other) == J.RUNNING


def test_a_request_cancels_a_bounded_number_and_says_how_many_are_left(
    people: People, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [submit() for _ in range(5)]
    monkeypatch.setattr(cancelling, "MOST", 3)
    rows = Job.objects.filter(owner=people.vera)
    done = cancelling.found(rows, actor="vera")
    assert (done.cancelled, done.left) == ([job.pk for job in jobs[:3]], 2)
    again = cancelling.found(rows, actor="vera")
    assert (again.cancelled, again.left) == ([job.pk for job in jobs[3:]], 0)
    assert AuditEvent.objects.filter(verb="job.cancel").count() == 5
    with pytest.raises(Invalid):
        cancelling.named(people.vera, [job.pk for job in jobs], actor="vera")


def test_rows_can_be_selected_in_the_list_alone(people: People, submit: Submit, signed_in: SignIn) -> None:
    job = submit()
    client, box = signed_in(people.vera), f'id="select-{job.pk}"'
    assert box in client.get("/jobs/").content.decode()
    assert box in client.get(f"/jobs/{job.pk}/part/row/?select=1").content.decode()
    assert box not in client.get(f"/jobs/{job.pk}/part/row/").content.decode()
    assert box not in client.get("/").content.decode()


def test_queries_do_not_grow_with_the_line(
    people: People, submit: Submit, signed_in: SignIn, django_assert_max_num_queries: Any
) -> None:
    client = signed_in(people.luis)
    submit()
    with django_assert_max_num_queries(40) as few:
        client.get("/jobs/?owner=all&search=t")
    for number in range(10):
        submit(name=f"train {number}")
    actions.cancel(submit(), actor="vera")
    with django_assert_max_num_queries(len(few)):
        client.get("/jobs/?owner=all&search=t")
