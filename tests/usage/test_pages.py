"""The page of usage and cost, its export and the API: what each may see, and what the numbers are."""

import csv
import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.db.models import F
from django.test import Client

from environments import actions
from environments.models import Workspace
from portal.compute.models import Allocation
from portal.lib import clock
from portal.lib.spreadsheets import lines
from portal.usage import pages
from tests.conftest import People
from tests.usage.test_metering import T0, interval

pytestmark = pytest.mark.django_db


def enter(user: Any) -> Client:
    client = Client()
    client.force_login(user, "django.contrib.auth.backends.ModelBackend")
    return client


def shown(client: Client, query: str = "") -> str:
    answer = client.get(f"/usage/{query}")
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def _to_noon_of_tomorrow() -> timedelta:
    now = clock.now()
    return now.replace(hour=12) + timedelta(days=1) - now


@pytest.fixture
def used(people: People, bo: Any, make_workspace: Callable[..., Any], settle: Callable[..., None]) -> Any:
    """Vera ran a small workspace for two hours, Bo a medium one for one; Oda's of another team runs.

    All of it on one day, whenever the test runs.
    """
    with clock.stopped(), clock.shifted(_to_noon_of_tomorrow()):
        mine, theirs = make_workspace(name="churn"), make_workspace(bo, size="medium")
        other = make_workspace(people.oda)
        settle()
        for workspace, hours in ((theirs, 1), (mine, 2)):
            with clock.shifted(timedelta(hours=hours)):
                actions.stop(Workspace.objects.get(pk=workspace.pk), actor="test")
                settle()
        with clock.shifted(timedelta(hours=3)):
            yield mine, theirs, other


def test_people_see_their_own(people: People, used: Any) -> None:
    page = shown(enter(people.vera), "?period=7")
    assert "<h1>Usage and cost</h1>" in page
    assert "€ 0.06" in page  # two hours of a core and of 2 GiB
    assert "jupyter-python" in page
    assert "Bo Lind" not in page
    assert 'aria-label="Whose usage"' not in page  # there is nothing to choose
    assert enter(people.vera).get("/usage/?scope=all").status_code == 422
    assert enter(people.vera).get("/usage/?scope=team:vision").status_code == 422


def test_gpu_hours_are_shown_with_what_was_at_work(people: People) -> None:
    with clock.stopped(), clock.shifted(_to_noon_of_tomorrow()):
        begin = clock.now().replace(microsecond=0) - timedelta(hours=10)
        seconds = int((begin - T0).total_seconds())
        of_a_gpu = {"meter": "gpu", "quantity": Decimal(1), "gpu_class": "a100"}
        interval(seconds, seconds + 36_000, **of_a_gpu, measured=36_000, used=14_400)
        page = shown(enter(people.vera), "?period=7")
        exported = enter(people.vera).get("/usage/export/?period=7").getvalue().decode()
    [row] = csv.DictReader(StringIO(exported))
    assert "10 GPU hours held from" in page
    assert "4 at work, 6 not at work, 0 not measured." in page
    assert page.count("40 % at work") == 2  # of all, and of the environment
    assert (row["gpu_hours"], row["gpu_hours_measured"], row["gpu_hours_used"]) == ("10.0000", "10.0000", "4.0000")


def test_a_day_leads_to_what_it_is_made_of(people: People, used: Any) -> None:
    luis = enter(people.luis)
    day = f"{clock.now():%Y-%m-%d}"
    assert f"period={day}" in shown(luis, "?period=7")
    closer = shown(luis, f"?scope=team:vision&period={day}&by=owner")
    assert "€ 0.12" in closer  # all of the seven days
    assert "churn" in closer
    assert f"{clock.now():%-d %b %Y}" in closer
    assert "up to now. Days" in closer
    assert "up to now. Days" not in shown(luis, "?scope=team:vision&period=last-month")
    month = shown(luis, f"?scope=team:vision&period={day[:7]}")
    assert f"{clock.now():%B %Y}" in month
    assert "€ 0.12" in month


def test_without_gpus_nothing_is_said_of_them(people: People, used: Any) -> None:
    page = shown(enter(people.vera), "?period=7")
    assert "GPU hours each" not in page
    assert "at work" not in page  # nobody measured the cores


def test_a_lead_sees_the_team_by_person_and_looks_closer(people: People, used: Any) -> None:
    luis = enter(people.luis)
    page = shown(luis, "?period=7")
    assert "Vision, " in page
    assert "Vera Rosén" in page
    assert "Bo Lind" in page
    assert "Oda" not in page
    assert "€ 0.12" in page  # 0.06 of Vera's and 0.06 of Bo's
    closer = shown(luis, "?scope=team:vision&period=7&by=owner&user=vera")
    assert "churn" in closer
    assert "Only person Vera Rosén" in closer
    assert luis.get("/usage/?scope=team:risk").status_code == 422


def test_an_administrator_sees_all_teams_and_what_runs_now(people: People, used: Any) -> None:
    page = shown(enter(people.ada), "?period=7&by=team")
    assert "All teams, " in page
    for name in ("Vision", "Risk"):
        assert name in page
    assert "€ 0.03 per hour" in page  # Oda's, which still runs
    assert "Spent each day from" in page
    assert "nine of ten within" in page


def test_what_runs_and_does_nothing_is_shown_with_what_that_costs_to_who_may_end_it(
    people: People, used: Any, make_workspace: Callable[..., Any], settle: Callable[..., None]
) -> None:
    *_, other = used
    Workspace.objects.filter(pk=other.pk).update(idle_since=clock.now() - timedelta(minutes=59))
    assert "does nothing" not in shown(enter(people.ada))
    Workspace.objects.filter(pk=other.pk).update(idle_since=clock.now() - timedelta(hours=2))
    page = shown(enter(people.ada)).partition("Runs now and does nothing")[2].partition("Spent each day")[0]
    stop = f"/allocations/{other.allocation_id}/stop/"
    assert all(said in page for said in (other.name, "Oda Berg", "€ 0.06", stop)), page
    own = shown(enter(people.oda)).partition("Runs now and does nothing")[2]
    assert "€ 0.06" in own
    assert stop not in own, "of one's own, the page of it is enough"
    for user in (people.vera, people.luis):
        assert "does nothing" not in shown(enter(user))
    Workspace.objects.filter(pk=other.pk).update(idle_since=None)
    assert "does nothing" not in shown(enter(people.ada))


def test_what_counts_and_was_not_seen_lately_is_listed_with_what_is_not_sure(people: People, used: Any) -> None:
    *_, other = used
    rows = Allocation.objects.filter(pk=other.allocation_id)
    rows.update(confirmed_at=clock.now() - timedelta(hours=2))
    for user in (people.ada, people.oda):
        page = shown(enter(user)).partition("Counts, but was not seen lately")[2].partition("Spent each day")[0]
        assert all(said in page for said in (other.name, "Oda Berg", "€ 0.06")), page
        assert "/stop/" not in page
    assert "not seen lately" not in shown(enter(people.luis))
    rows.update(confirmed_at=clock.now() - timedelta(minutes=1))
    assert "not seen lately" not in shown(enter(people.ada))


def test_a_view_is_saved_shown_and_forgotten(people: People, used: Any) -> None:
    luis = enter(people.luis)
    posted = {"view": "GPUs of the month", "scope": "team:vision", "by": "gpu_class", "user": "vera", "page": "3"}
    answer = luis.post("/usage/views/save/", posted)
    query = "scope=team%3Avision&period=month&by=gpu_class&user=vera"
    assert answer.headers["Location"] == f"/usage/?{query}"
    page = shown(luis, f"?{query}")
    assert re.search(r'aria-current="true">GPUs of the month</a>', page)
    assert 'aria-current="true">GPUs of the month' not in shown(luis)
    assert "GPUs of the month" not in shown(enter(people.vera)), "each person's own"
    assert "GPUs of the month" not in luis.get("/jobs/").content.decode(), "and each page's"
    view = people.luis.saved_views.get()
    enter(people.vera).post(f"/usage/views/{view.pk}/forget/")
    luis.post(f"/jobs/views/{view.pk}/forget/")
    assert people.luis.saved_views.count() == 1
    assert luis.post(f"/usage/views/{view.pk}/forget/").headers["Location"] == "/usage/"
    assert not people.luis.saved_views.exists()
    luis.post("/usage/views/save/", {"view": " "})
    assert "printable characters" in shown(luis)
    assert luis.post("/usage/views/save/", {"view": "Mine", "scope": "team:risk"}).status_code == 422
    assert not people.luis.saved_views.exists()


def test_how_long_things_waited_is_of_whom_the_page_is_narrowed_to(people: People, used: Any) -> None:
    mine, theirs, _ = used
    for workspace, seconds in ((mine, 90), (theirs, 20)):
        of_it = Allocation.objects.filter(owner_id=workspace.pk)
        of_it.update(created_at=F("created_at") - timedelta(seconds=seconds))
    lead = enter(people.luis)
    assert "1 min 30 s; nine of ten within 1 min 30 s" in shown(lead, "?scope=team:vision&period=7")
    assert "20 s; nine of ten within 20 s" in shown(lead, "?scope=team:vision&period=7&user=bo")
    assert "Wait for a place" not in shown(lead, "?scope=team:vision&period=7&template=jupyter-python")


def test_what_would_take_long_to_add_up_says_what_to_choose(
    people: People, used: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MOST_READ", 2)  # each of the three has an interval of cores and one of memory
    lead = enter(people.luis)
    page = shown(lead, "?scope=team:vision&period=7&by=owner")
    assert "More than 2 records of usage would have to be added up." in page and "churn" not in page
    assert "everything" in page  # the bars are there, of one layer
    assert "churn" in shown(lead, "?scope=team:vision&period=7&by=owner&user=vera")
    assert "Bo Lind" in shown(lead, "?scope=team:vision&period=7&by=user")  # which has totals


def test_nothing_used_is_said(people: People) -> None:
    page = shown(enter(people.vera))
    assert "Nothing was used in this time, so nothing was spent." in page
    assert "nothing was started" in page


def test_unknown_choices_are_the_usual_ones_and_no_error(people: People, used: Any) -> None:
    vera = enter(people.vera)
    for query in ("?period=nonsense", "?by=password", "?user=%00", "?user=" + "x" * 5000, "?gpu_class='--"):
        assert vera.get(f"/usage/{query}").status_code == 200


def test_the_export_has_the_same_and_runs_nothing(people: People, used: Any) -> None:
    answer = enter(people.luis).get("/usage/export/?period=7")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(StringIO(answer.getvalue().decode())))
    assert {row["user"]: (row["cost"], row["cpu_core_hours"]) for row in rows} == {
        "vera": ("0.0600000000", "2.0000"),
        "bo": ("0.0600000000", "2.0000"),
    }
    assert "".join(lines([["=1+1", "+x", "@y", "-1.5", "-x", "plain"]])) == "'=1+1,'+x,'@y,-1.5,'-x,plain\r\n"


def test_the_page_asks_a_fixed_number_of_questions(
    people: People,
    used: Any,
    make_workspace: Callable[..., Any],
    settle: Callable[..., None],
    django_assert_max_num_queries: Any,
) -> None:
    luis = enter(people.luis)
    for _ in range(5):
        make_workspace()
    settle()
    with django_assert_max_num_queries(17):
        luis.get("/usage/?period=30")
    with django_assert_max_num_queries(19):
        luis.get("/usage/?period=30&by=owner")


def test_a_stranger_is_asked_to_sign_in() -> None:
    assert Client().get("/usage/").status_code == 302
    assert Client().get("/usage/export/").status_code == 302
