"""After the end of a grant: told at once, stopped after the grace, and only as much as is still too much then."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from portal.compute import overrun
from portal.compute.models import Allocation
from portal.invariants import violations
from portal.lib import clock
from portal.notices.models import Notice
from portal.notices.states import Kind
from portal.quotas.models import GpuClass, Grant, QuotaRequest
from tests.approvals.conftest import SignIn, decide
from tests.conftest import People

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
END = timedelta(days=8)
"""From now, by when the grant is over."""


@pytest.fixture
def two(
    people: People,
    wish: QuotaRequest,
    signed_in: SignIn,
    make_workspace: Callable[..., Any],
    settle: Callable[..., None],
) -> list[Any]:
    """Vera runs two workspaces with a GPU each, of which she may have one unasked, the other by a grant for a week."""
    GpuClass.objects.update(grace_hours=24)
    assert decide(signed_in(people.luis), wish, "approve", note="").status_code == 302
    made = [make_workspace(name=name, size="gpu-1") for name in ("first", "second")]
    settle()
    assert running() == {"first", "second"}
    return made


def running() -> set[str]:
    names = Allocation.objects.filter(phase="running", desired="run").values_list("owner_id", flat=True)
    from environments.models import Workspace

    return set(Workspace.objects.filter(pk__in=names).values_list("name", flat=True))


def ticked(after: timedelta) -> set[str]:
    """What still runs when so much time has passed."""
    with clock.shifted(after):
        overrun.tick()
    return running()


def told() -> list[str]:
    return list(Notice.objects.filter(kind=Kind.WORK_STOPPED).order_by("pk").values_list("text", flat=True))


def test_the_newest_is_stopped_after_the_grace_and_its_owner_knew(two: list[Any], settle: Callable[..., None]) -> None:
    assert ticked(timedelta(days=6)) == {"first", "second"}
    assert told() == []
    assert ticked(END) == ticked(END + 23 * HOUR) == {"first", "second"}
    [text] = told()
    assert text.startswith("The grant of 1 × A100 is over: second is stopped at ")
    assert ticked(END + 24 * HOUR) == {"first"}
    ended = Allocation.objects.get(owner_id=two[1].pk)
    assert ended.end_message == "The grant of 1 × A100 that it ran on is over."
    assert ticked(END + 100 * HOUR) == {"first"}
    settle()
    assert violations() == []


def test_the_grace_begins_when_owners_are_told(two: list[Any]) -> None:
    """Though Berth was down for two days."""
    assert ticked(END + 48 * HOUR) == {"first", "second"}
    assert len(told()) == 1
    assert ticked(END + 71 * HOUR) == {"first", "second"}
    assert ticked(END + 72 * HOUR) == {"first"}


def test_who_made_room_or_was_granted_more_keeps_the_rest(
    people: People, two: list[Any], settle: Callable[..., None]
) -> None:
    from environments import actions

    ticked(END)
    actions.stop(two[0], actor="vera")
    settle()
    assert ticked(END + 24 * HOUR) == {"second"}


def test_a_class_without_a_grace_lets_it_go_on(two: list[Any]) -> None:
    GpuClass.objects.update(grace_hours=None)
    assert ticked(END) == ticked(END + 1000 * HOUR) == {"first", "second"}
    assert told() == []


def test_a_revoked_one_is_over_at_once(people: People, two: list[Any], wish: QuotaRequest, signed_in: SignIn) -> None:
    GpuClass.objects.update(grace_hours=0)
    page = signed_in(people.luis).post(f"/quota/requests/{wish.pk}/revoke/", {"note": "Needed elsewhere."}, follow=True)
    assert "Revoked. Nothing new starts on it; what runs on it is stopped." in page.content.decode()
    assert Grant.objects.get().revoked_at is not None
    assert ticked(timedelta()) == {"first", "second"}
    assert ticked(timedelta(seconds=1)) == {"first"}
    assert len(told()) == 1


def test_the_end_says_what_follows(two: list[Any]) -> None:
    from portal.quotas import actions

    with clock.shifted(timedelta(days=6)):
        actions.tick()
    [text] = Notice.objects.filter(kind=Kind.GRANT_ENDS).values_list("text", flat=True)
    assert text.endswith("nothing new starts on it then, what runs on it is stopped 24 h later.")
