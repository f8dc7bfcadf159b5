"""How jobs ended: every number is that of the jobs behind it, and each sees what is theirs to see."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils import timezone

from jobs import outcomes
from jobs.models import Job
from jobs.states import J
from portal.compute.states import Reason
from portal.lib import clock
from tests.conftest import People

pytestmark = pytest.mark.django_db
Submit = Callable[..., Job]
SignIn = Callable[[Any], Client]
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ENDINGS = [
    (J.SUCCEEDED, Reason.COMPLETED),
    (J.SUCCEEDED, Reason.COMPLETED),
    (J.FAILED, Reason.OOM),
    (J.FAILED, Reason.OOM),
    (J.FAILED, Reason.FAILED),
    (J.TIMED_OUT, Reason.MAX_DURATION),
    (J.LOST, Reason.ENGINE_RESTART),
    (J.CANCELLED, Reason.CANCELLED),
]


@pytest.fixture(autouse=True)
def afternoon() -> Any:
    with clock.shifted(NOON + timedelta(hours=3) - clock.now()):
        yield


def end(job: Job, state: J, reason: Reason, at: datetime = NOON) -> Job:
    Job.objects.filter(pk=job.pk).update(state=state, reason=reason, ended_at=at, begin_at=None)
    return job


@pytest.fixture
def ended(people: People, submit: Submit) -> list[Job]:
    """Of vera, an hour apart, the newest first; one of luis, and one of another team."""
    end(submit(people.luis), J.FAILED, Reason.FAILED)
    end(submit(people.oda), J.FAILED, Reason.OOM)
    return [end(submit(), *ending, NOON - timedelta(hours=n)) for n, ending in enumerate(ENDINGS)]


def listed(client: Client, url: str) -> int:
    page = client.get(url)
    assert page.status_code == 200
    return len(page.context["cards"])


def counted(shown: Any) -> int:
    """The jobs of all states together."""
    return sum(number for _, number, _ in shown["figures"])


def test_every_number_is_that_of_the_jobs_its_link_lists(people: People, ended: list[Job], signed_in: SignIn) -> None:
    expected = {people.vera: len(ended), people.luis: len(ended) + 1, people.ada: len(ended) + 2}
    for user, whole in expected.items():
        client = signed_in(user)
        shown = client.get("/jobs/outcomes/").context
        assert counted(shown) == whole
        links = [(number, url) for _, number, url in shown["figures"]]
        links += [(number, url) for _, number, _, url in shown["causes"]]
        links += [(sum(map(int, numbers)), url) for _, url, numbers in shown["bars"].rows]
        links += [(row.whole, row.url) for row in shown["rows"]]
        links += [(row.whole, row.url) for row in client.get("/jobs/outcomes/?by=owner").context["rows"]]
        assert {url: listed(client, url) for _, url in links} == {url: number for number, url in links}


def test_causes_and_shares(people: People, ended: list[Job], signed_in: SignIn) -> None:
    shown = signed_in(people.vera).get("/jobs/outcomes/").context
    assert [(cause, number, share) for cause, number, share, _ in shown["causes"]] == [
        ("It ran out of memory", 2, 40),
        ("The container engine was restarted", 1, 20),
        ("It ended with an error", 1, 20),
        ("It took longer than it was given", 1, 20),
    ]
    assert shown["succeeded"] == "29 %"  # two of the seven that nobody cancelled
    assert [(row.numbers, row.succeeded) for row in shown["rows"]] == [([2, 3, 1, 1, 1], 29)]


def test_a_job_counts_for_the_day_on_which_it_ended_where_the_reader_is(people: People, submit: Submit) -> None:
    end(submit(), J.SUCCEEDED, Reason.COMPLETED, datetime(2026, 11, 18, 23, 30, tzinfo=UTC))
    wanted = outcomes.asked(people.vera, {"period": "7"})
    for zone, day in (("UTC", "18 Nov 2026"), ("Asia/Kolkata", "19 Nov 2026"), ("America/New_York", "18 Nov 2026")):
        with timezone.override(ZoneInfo(zone)):
            days = outcomes.page(wanted)["bars"].rows
            assert [name for name, _, numbers in days if any(map(int, numbers))] == [day]
            assert len(days) == 7


def test_what_ended_before_or_after_the_time_does_not_count(people: People, submit: Submit) -> None:
    end(submit(), J.SUCCEEDED, Reason.COMPLETED, datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC))
    end(submit(), J.SUCCEEDED, Reason.COMPLETED, datetime(2026, 11, 1, tzinfo=UTC))
    submit()
    month = outcomes.page(outcomes.asked(people.vera, {"period": "month"}))
    assert (counted(month), sum(sum(map(int, numbers)) for _, _, numbers in month["bars"].rows)) == (1, 1)


def test_nobody_sees_what_is_not_theirs(people: People, ended: list[Job], signed_in: SignIn) -> None:
    for user, scope in ((people.vera, "team:vision"), (people.luis, "team:risk"), (people.luis, "all")):
        for path in ("/jobs/outcomes/", "/jobs/outcomes/export/"):
            assert signed_in(user).get(f"{path}?scope={scope}").status_code == 422
    assert counted(signed_in(people.oda).get("/jobs/outcomes/").context) == 1


def test_without_any_it_says_so_and_what_is_unknown_is_the_default(people: People, signed_in: SignIn) -> None:
    page = signed_in(people.vera).get("/jobs/outcomes/?period=%00&by=nonsense")
    assert "No job ended in this time." in page.content.decode()
    assert (page.context["asked"].period, page.context["asked"].by) == ("30", "template")


def test_the_export_has_a_line_for_each_kind_of_ending(people: People, ended: list[Job], signed_in: SignIn) -> None:
    answer = signed_in(people.luis).get("/jobs/outcomes/export/?period=7")
    head, *lines = b"".join(answer.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert head == "day,template,owner,state,reason,jobs"
    assert "2026-11-20,python,vera,failed,oom,2" in lines
    assert sum(int(line.rpartition(",")[2]) for line in lines) == len(ended) + 1


def test_the_list_says_to_what_it_is_narrowed_and_how_to_see_more(
    people: People, ended: list[Job], signed_in: SignIn
) -> None:
    client = signed_in(people.vera)
    query = "?reason=oom&ended_since=2026-11-20T00:00:00Z&ended_before=2026-11-21T00:00:00Z"
    narrowed = client.get(f"/jobs/{query}").context["narrowed"]
    assert [said.partition(" 2")[0] for said, _ in narrowed] == ["It ran out of memory", "Ended since", "Ended before"]
    assert listed(client, f"/jobs/{query}") == 2
    assert listed(client, f"/jobs/{narrowed[0][1]}") == len(ended)
    assert client.get("/jobs/?reason=nonsense").status_code == 422
    assert client.get("/jobs/?ended_since=yesterday").status_code == 422
