"""Sharing: who may be given what, for how long, and what ends it; on pages and through actions."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from environments import access, actions, sharing
from environments.access import INSIDE, NONE, OWNER, STEWARD, Right
from environments.models import Share
from portal.accounts.actions import add_member, create_team, create_user
from portal.accounts.models import Membership, Role, Team
from portal.audit.models import AuditEvent
from portal.compute.models import Allocation
from portal.lib import clock
from portal.lib.errors import Conflict, Invalid
from tests.conftest import People

pytestmark = pytest.mark.django_db
Make = Callable[..., Any]
Settle = Callable[..., None]
SignIn = Callable[[Any], Client]

OWNERS_VERBS = ["start", "stop", "restart", "rename", "delete", "size", "settings", "duplicate", "shares", "offer"]
VIEWER, VISITOR = Right.VIEW, Right.VIEW | INSIDE


@pytest.fixture
def running(make_workspace: Make, settle: Settle) -> Any:
    """Vera's, named study, running."""
    made = make_workspace(name="study")
    settle()
    made.refresh_from_db()
    return made


def share(workspace: Any, **values: Any) -> Share:
    given = {"right": "use"} | values
    return sharing.share(workspace, **given, actor="vera")


def test_what_is_shared_is_what_one_may_do(running: Any, bo: Any, people: People) -> None:
    assert access.rights_on(bo, running) == NONE
    share(running, user="bo", right="view")
    assert access.rights_on(bo, running) == VIEWER
    share(running, user="bo")
    assert access.rights_on(bo, running) == VISITOR
    assert access.rights_on(people.luis, running) == STEWARD
    assert access.rights_on(people.vera, running) == OWNER
    assert access.rights_on(people.oda, running) == NONE


def test_with_the_team_means_all_of_it_but_nobody_else(running: Any, bo: Any, people: People) -> None:
    share(running, team="vision")
    assert access.rights_on(bo, running) == VISITOR
    assert access.rights_on(people.luis, running) == STEWARD | INSIDE
    assert access.rights_on(people.oda, running) == NONE
    assert access.rights_on(people.ada, running) == STEWARD
    late = create_user("late", "Late", "correct-horse-battery", actor="test")
    add_member(Team.objects.get(slug="vision"), late, Role.MEMBER, actor="test")
    assert access.rights_on(late, running) == VISITOR


def test_people_of_another_team_of_the_owner_can_be_given_it_too(running: Any, people: People) -> None:
    club = create_team("club", "Club", actor="test")
    for member in (people.vera, people.oda):
        add_member(club, member, Role.MEMBER, actor="test")
    share(running, user="oda")
    assert access.rights_on(people.oda, running) == VISITOR
    Membership.objects.filter(user=people.oda, team=club).delete()
    assert access.rights_on(people.oda, running) == NONE


def _revoked(given: Share) -> None:
    sharing.revoke(given, actor="vera")


def _receiver_left(given: Share) -> None:
    Membership.objects.filter(user=given.user).delete()


def _owner_left(given: Share) -> None:
    Membership.objects.filter(user=given.created_by).delete()


def _owner_deactivated(given: Share) -> None:
    given.created_by.is_active = False
    given.created_by.save(update_fields=["is_active"])


def _stopped(given: Share) -> None:
    actions.stop(given.workspace, actor="vera")


def _deleted(given: Share) -> None:
    actions.delete(given.workspace, delete_files=False, actor="vera")


ENDINGS = [_revoked, _receiver_left, _owner_left, _owner_deactivated, _stopped, _deleted]


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_ends_a_share(running: Any, bo: Any, ending: Callable[[Share], None]) -> None:
    given = share(running, user="bo")
    assert list(access.visible_to(bo)) == [running]
    ending(given)
    assert access.rights_on(bo, running) == NONE
    assert not access.shared_with(bo).exists()
    assert not access.visible_to(bo).exists()


def test_it_ends_at_its_end_and_after_eight_hours_if_none_is_given(running: Any, bo: Any) -> None:
    share(running, user="bo", until=clock.now() + timedelta(hours=1))
    with clock.shifted(timedelta(minutes=59)):
        assert access.rights_on(bo, running) == VISITOR
    with clock.shifted(timedelta(minutes=61)):
        assert access.rights_on(bo, running) == NONE
    share(running, user="bo")
    with clock.shifted(timedelta(hours=7, minutes=59)):
        assert access.rights_on(bo, running) == VISITOR
    with clock.shifted(timedelta(hours=8, minutes=1)):
        assert access.rights_on(bo, running) == NONE


def test_a_new_start_is_not_shared_but_a_restart_is(running: Any, bo: Any, settle: Settle) -> None:
    share(running, user="bo")
    actions.restart(running, actor="vera")
    settle()
    assert access.rights_on(bo, running) == VISITOR
    actions.stop(running, actor="vera")
    settle()
    actions.start(running, actor="vera")
    settle()
    assert access.rights_on(bo, running) == NONE


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({}, "user"),
        ({"user": "bo", "team": "vision"}, "user"),
        ({"user": "vera"}, "user"),
        ({"user": "oda"}, "user"),
        ({"user": "nobody"}, "user"),
        ({"user": "x" * 10_000}, "user"),
        ({"team": "risk"}, "team"),
        ({"team": "nothing"}, "team"),
        ({"user": "bo", "right": "own"}, "right"),
        ({"user": "bo", "until": timedelta(seconds=-1)}, "until"),
        ({"user": "bo", "until": timedelta(days=30, minutes=1)}, "until"),
    ],
)
def test_bad_input_names_its_field_and_shares_nothing(running: Any, bo: Any, values: Any, field: str) -> None:
    if "until" in values:
        values = values | {"until": clock.now() + values["until"]}
    with pytest.raises(Invalid) as refused:
        share(running, **values)
    assert list(refused.value.fields) == [field]
    assert not Share.objects.exists()


def test_an_outsider_and_an_unknown_name_are_told_apart_by_nothing_but_the_name(running: Any, people: People) -> None:
    said = []
    for name in ("oda", "odd"):
        with pytest.raises(Invalid) as refused:
            share(running, user=name)
        said.append(refused.value.detail.replace(name, ""))
    assert said[0] == said[1]


def test_what_does_not_run_is_not_shared(make_workspace: Make, bo: Any, settle: Settle) -> None:
    workspace = make_workspace()
    actions.stop(workspace, actor="vera")
    for _ in range(2):
        with pytest.raises(Conflict):
            share(workspace, user="bo")
        settle()


def test_with_one_address_for_all_it_can_be_seen_but_not_used(running: Any, bo: Any, settings: Any) -> None:
    given = share(running, user="bo")
    settings.WORKSPACE_URL = "http://workspaces.localhost:8000/w/{id}/"
    assert access.rights_on(bo, running) == VIEWER
    sharing.revoke(given, actor="vera")
    with pytest.raises(Invalid) as refused:
        share(running, user="bo")
    assert "one web address" in refused.value.fields["right"][0]
    share(running, user="bo", right="view")
    assert access.rights_on(bo, running) == VIEWER


def test_sharing_again_replaces_and_ending_twice_is_no_error(running: Any, bo: Any) -> None:
    first = share(running, user="bo")
    second = share(running, user="bo", right="view")
    assert list(access.shares_of(running)) == [second]
    assert access.rights_on(bo, running) == VIEWER
    for given in (first, second, second):
        sharing.revoke(given, actor="vera")
    told = AuditEvent.objects.filter(target=running.topic, verb__contains="share").values_list("verb", flat=True)
    assert list(told) == ["workspace.share", "workspace.unshare", "workspace.share", "workspace.unshare"]
    assert AuditEvent.objects.filter(verb="workspace.share").first().after["to"] == "user bo"  # type: ignore[union-attr]


def test_the_database_holds_shares_to_their_shape(running: Any, bo: Any) -> None:
    given = share(running, user="bo")
    team = Team.objects.get(slug="vision")
    for wrong in (
        {"team": team},
        {"user": None},
        {"right": "own"},
        {"until": given.created_at},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            Share.objects.filter(pk=given.pk).update(**wrong)
    with pytest.raises(IntegrityError), transaction.atomic():
        Share.objects.create(
            workspace=running,
            allocation=given.allocation,
            user=bo,
            right="view",
            until=given.until,
            created_by=given.created_by,
        )


def test_the_owner_shares_and_ends_it_by_form(running: Any, bo: Any, signed_in: SignIn, people: People) -> None:
    client, url = signed_in(people.vera), f"/workspaces/{running.pk}/"
    assert "they can read and change all your files in it" in client.get(url).content.decode()
    answer = client.post(url + "shares/", {"receiver": "user:bo", "right": "use", "hours": "24"})
    assert answer.status_code == 302
    given = Share.objects.get()
    assert (given.user, given.right, given.until - given.created_at > timedelta(hours=23)) == (bo, "use", True)
    assert "Bo Lind" in client.get(url).content.decode()
    assert client.post(f"{url}shares/{given.pk}/end/").status_code == 302
    assert client.post(f"{url}shares/{given.pk}/end/").status_code == 302
    assert client.post(f"{url}shares/{running.pk}/end/").status_code == 404
    assert not access.shares_of(running).exists()


@pytest.mark.parametrize(
    "values",
    [
        {"receiver": "user:oda"},
        {"receiver": "owner:vera"},
        {"receiver": ""},
        {"right": "own"},
        {"right": ""},
        {"hours": "9999"},
        {"hours": "-1"},
    ],
)
def test_a_bad_form_shares_nothing(
    running: Any, bo: Any, signed_in: SignIn, people: People, values: dict[str, str]
) -> None:
    form = {"receiver": "user:bo", "right": "use", "hours": "8"} | values
    answer = signed_in(people.vera).post(f"/workspaces/{running.pk}/shares/", form)
    assert answer.status_code == 422
    assert "field-error" in answer.content.decode()
    assert not Share.objects.exists()


def test_a_form_for_what_stopped_meanwhile_says_so(
    running: Any, bo: Any, signed_in: SignIn, people: People, settle: Settle
) -> None:
    actions.stop(running, actor="vera")
    settle()
    form = {"receiver": "team:vision", "right": "view", "hours": "8"}
    answer = signed_in(people.vera).post(f"/workspaces/{running.pk}/shares/", form)
    assert answer.status_code == 422
    assert "Start it, then share it" in answer.content.decode()


def test_who_may_see_share_and_manage(running: Any, bo: Any, signed_in: SignIn, people: People) -> None:
    url = f"/workspaces/{running.pk}/"
    form = {"receiver": "team:vision", "right": "use", "hours": "8"}
    for user, status in {people.luis: 403, people.ada: 403, bo: 403, people.oda: 404}.items():
        assert signed_in(user).post(url + "shares/", form).status_code == status
    for right, opened in {"view": 403, "use": 302}.items():
        given = share(running, user="bo", right=right)
        client = signed_in(bo)
        page = client.get(url)
        assert page.status_code == 200
        assert "Vera Rosén shares it with you" in page.content.decode()
        assert not [word for word in ("Rename", "Duplicate", "Hand over", "Delete") if word in page.content.decode()]
        assert (">Open<" in page.content.decode()) == (right == "use")
        for part in ("part/stage/", "part/row/", "log/"):
            assert client.get(url + part).status_code == 200
        for verb in OWNERS_VERBS:
            assert client.post(f"{url}{verb}/").status_code == 403, verb
        assert client.post(f"{url}shares/{given.pk}/end/").status_code == 403
        Allocation.objects.update(address="127.0.0.1:1")
        assert client.post(url + "open/").status_code == opened
    assert signed_in(people.luis).post(f"{url}shares/{given.pk}/end/").status_code == 302
    assert signed_in(bo).get(url).status_code == 403


def test_it_is_on_home_and_list_while_it_lasts(running: Any, bo: Any, signed_in: SignIn, people: People) -> None:
    for path in ("/", "/workspaces/"):
        assert "Shared with you" not in signed_in(bo).get(path).content.decode()
        given = share(running, team="vision")
        assert "Shared with you" in signed_in(bo).get(path).content.decode()
        assert "Shared with you" not in signed_in(people.vera).get(path).content.decode()
        sharing.revoke(given, actor="vera")


@pytest.mark.parametrize("path", ["/", "/workspaces/"])
def test_much_that_is_shared_costs_no_more_queries(
    make_workspace: Make, settle: Settle, bo: Any, signed_in: SignIn, path: str
) -> None:
    client = signed_in(bo)

    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert client.get(path).status_code == 200
        return len(seen)

    made = [make_workspace() for _ in range(6)]
    settle()
    share(made[0], user="bo")
    client.get(path)
    one = queries()
    for workspace in made[1:]:
        share(workspace, user="bo")
        share(workspace, team="vision", right="view")
    assert queries() == one
    assert client.get(path).content.decode().count('id="row-') == 6
