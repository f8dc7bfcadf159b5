"""Who decides sees which grants are hardly used, with the number, and the way to revoke them."""

from datetime import timedelta
from typing import Any

import pytest

from portal.compute.models import Allocation, GpuDevice, GpuHold
from portal.lib import clock
from portal.quotas.models import Grant, QuotaRequest
from tests.approvals.conftest import SignIn, asked, decide
from tests.conftest import People

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def grant(people: People, wish: QuotaRequest, signed_in: SignIn) -> Grant:
    """One A100 for Vera, for eight days already."""
    decide(signed_in(people.luis), wish, "approve")
    now = clock.now()
    Grant.objects.update(starts_at=now - timedelta(days=8), ends_at=now + timedelta(days=30))
    return Grant.objects.get()


def held(make_workspace: Any, since: timedelta, until: timedelta | None) -> None:
    """Vera had a device from so long ago to so long ago."""
    allocation = Allocation.objects.get(pk=make_workspace(size="gpu-1").allocation_id)
    now = clock.now()
    ended = None if until is None else now - until
    GpuHold.objects.create(
        device=GpuDevice.objects.earliest("pk"), allocation=allocation, since=now - since, until=ended
    )


def text_of(signed_in: SignIn, user: Any, path: str) -> str:
    return " ".join(signed_in(user).get(path).content.decode().split())


@pytest.mark.parametrize(
    ("since", "until", "said"),
    [
        (8 * HOUR, None, "5 %"),
        (20 * HOUR, 12 * HOUR, "5 %"),
        (200 * HOUR, 160 * HOUR, "5 %"),
        (200 * HOUR, 169 * HOUR, "0 %"),
        (20 * HOUR, 2 * HOUR, ""),
        (200 * HOUR, None, ""),
    ],
)
def test_a_grant_is_hardly_used_below_a_tenth_of_seven_days(
    people: People,
    grant: Grant,
    signed_in: SignIn,
    make_workspace: Any,
    since: timedelta,
    until: timedelta | None,
    said: str,
) -> None:
    held(make_workspace, since, until)
    page = text_of(signed_in, people.luis, "/approvals/")
    assert "1 × A100 for Vera Rosén</a>" in page
    assert ("Hardly used" in page) == bool(said)
    if said:
        assert f"Hardly used: {said} of it was held in the last 7 days." in page


def test_it_leads_to_the_form_that_revokes_it(people: People, grant: Grant, signed_in: SignIn) -> None:
    path = f"/quota/requests/{grant.pk}/"
    assert f'href="{path}#grant-title">Revoke' in text_of(signed_in, people.luis, "/approvals/")
    page = text_of(signed_in, people.luis, path)
    assert "Hardly used: 0 % of it was held in the last 7 days." in page
    assert f'action="{path}revoke/"' in page
    signed_in(people.luis).post(f"{path}revoke/", {"note": "Hardly used."})
    assert "1 × A100 for Vera Rosén" not in text_of(signed_in, people.luis, "/approvals/")


def test_a_grant_of_a_team_counts_what_all_of_it_held(
    people: People, grant: Grant, signed_in: SignIn, make_workspace: Any
) -> None:
    Grant.objects.update(user=None)
    QuotaRequest.objects.update(personal=False)
    held(make_workspace, 20 * HOUR, None)
    assert "Hardly used" not in text_of(signed_in, people.ada, "/approvals/")
    assert "for team Vision" not in text_of(signed_in, people.luis, "/approvals/")


@pytest.mark.parametrize("days", [6, -1])
def test_one_that_has_not_counted_for_so_long_is_not_judged(
    people: People, grant: Grant, signed_in: SignIn, days: int
) -> None:
    Grant.objects.update(starts_at=clock.now() - timedelta(days=days))
    assert "Hardly used" not in text_of(signed_in, people.luis, "/approvals/")


def test_many_grants_take_no_more_queries(
    people: People, grant: Grant, signed_in: SignIn, django_assert_max_num_queries: Any
) -> None:
    admin, vera = signed_in(people.ada), signed_in(people.vera)
    for _ in range(5):
        asked(vera)
        decide(admin, QuotaRequest.objects.latest("created_at"), "approve")
    Grant.objects.update(starts_at=clock.now() - timedelta(days=8))
    with django_assert_max_num_queries(12):
        page = admin.get("/approvals/").content.decode()
    assert page.count("Hardly used:") == 6
