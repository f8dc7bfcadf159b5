"""Administrators look after people and teams: who may, what comes of it, and what is refused."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from environments.models import Workspace
from portal.accounts.actions import create_token
from portal.accounts.models import Membership, Team, User
from portal.audit.models import AuditEvent
from portal.compute.models import Allocation
from portal.compute.states import Phase
from tests.conftest import People

pytestmark = pytest.mark.django_db
NEW = {"username": "kim", "name": "Kim Ito", "email": "kim@example.org", "team": "vision", "role": "member"}


def enter(user: Any) -> Client:
    client = Client()
    client.force_login(user, "django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def admin(people: People) -> Client:
    return enter(people.ada)


@pytest.mark.parametrize("path", ["/people/", "/people/{}/", "/people/{}/suspend/", "/people/teams/vision/"])
def test_only_administrators_see_them(people: People, path: str) -> None:
    path = path.format(people.vera.pk)
    assert enter(people.luis).get(path).status_code == 403
    assert enter(people.luis).post(path).status_code == 403
    assert Client().get(path).status_code == 302
    assert enter(people.ada).get(path).status_code == 200


def test_somebody_is_added_and_signs_in_with_the_password_shown_once(people: People, admin: Client) -> None:
    page = admin.post("/people/", NEW)
    password = page.context["password"]
    assert page.status_code == 200
    assert page["Cache-Control"] == "no-store"
    assert password in page.content.decode()
    assert password not in admin.get("/people/").content.decode()
    kim = User.objects.get(username="kim")
    assert (kim.get_full_name(), kim.email, kim.is_staff) == ("Kim Ito", "kim@example.org", False)
    assert list(kim.memberships.values_list("team__slug", "role")) == [("vision", "member")]
    signing_in = Client().post("/sign-in/", {"username": "kim", "password": password})
    assert signing_in.status_code == 302
    assert password not in str(list(AuditEvent.objects.values_list("after", flat=True)))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("username", "vera"),
        ("username", "VERA"),
        ("username", ""),
        ("username", "a b"),
        ("username", "a\0"),
        ("username", "x" * 10_000),
        ("name", " "),
        ("name", "a\nb"),
        ("email", "nobody"),
        ("team", "none-such"),
        ("role", "owner"),
    ],
)
def test_nonsense_is_refused_beside_its_field(people: People, admin: Client, field: str, value: str) -> None:
    before = User.objects.count()
    page = admin.post("/people/", NEW | {field: value})
    assert page.status_code == 422
    assert field in page.context["form"].errors
    assert User.objects.count() == before


def test_a_team_is_founded_once(people: People, admin: Client) -> None:
    assert admin.post("/people/teams/", {"name": "Speech", "slug": "speech"}).status_code == 302
    assert Team.objects.get(slug="speech").name == "Speech"
    for slug in ("speech", "berth", "Speech", "a/b", ""):
        page = admin.post("/people/teams/", {"name": "Again", "slug": slug})
        assert page.status_code == 422
        assert "slug" in page.context["team_form"].errors
    assert enter(people.luis).post("/people/teams/", {"name": "Mine", "slug": "mine"}).status_code == 403


def test_roles_and_teams_change(people: People, admin: Client) -> None:
    path = f"/people/{people.oda.pk}/"
    assert admin.post(path, {"team": "vision", "role": "lead"}).status_code == 302
    assert Membership.objects.get(user=people.oda, team__slug="vision").role == "lead"
    admin.post(path, {"team": "vision", "role": "member"})
    assert Membership.objects.get(user=people.oda, team__slug="vision").role == "member"
    assert admin.post(path, {"team": "vision", "role": "king"}).status_code == 422
    for _ in range(2):
        assert admin.post(f"{path}leave/", {"team": "vision"}).status_code == 302
    assert not Membership.objects.filter(user=people.oda, team__slug="vision").exists()
    assert AuditEvent.objects.filter(verb="team.remove_member").count() == 1


def test_who_is_suspended_is_out_everywhere_and_what_they_ran_is_stopped(
    people: People, admin: Client, make_workspace: Callable[..., Any], settle: Callable[..., None]
) -> None:
    vera = enter(people.vera)
    token = create_token(people.vera, "laptop", ["workspaces:read"], 1, actor="vera").secret
    headers = {"Authorization": f"Bearer {token}"}
    made = make_workspace()
    settle()
    assert Client().get("/api/v1/me/", headers=headers).status_code == 200
    page = admin.get(f"/people/{people.vera.pk}/suspend/").content.decode()
    assert "What is in memory in 1 running workspaces" in page
    assert User.objects.get(pk=people.vera.pk).is_active
    assert admin.post(f"/people/{people.vera.pk}/suspend/").status_code == 302
    settle()
    assert Allocation.objects.get(pk=made.allocation_id).phase == Phase.ENDED
    assert "ada suspended its owner" in Allocation.objects.get(pk=made.allocation_id).end_message
    assert Workspace.objects.get(pk=made.pk).deleted_at is None
    assert vera.get("/").status_code == 302
    assert Client().get("/api/v1/me/", headers=headers).status_code == 401
    again = {"username": "vera", "password": "correct-horse-battery"}
    assert Client().post("/sign-in/", again).status_code == 422
    admin.post(f"/people/{people.vera.pk}/state/", {"do": "reinstate"})
    assert Client().post("/sign-in/", again).status_code == 302


def test_a_new_password_ends_the_old_sessions(people: People, admin: Client) -> None:
    vera = enter(people.vera)
    assert vera.get("/").status_code == 200
    page = admin.post(f"/people/{people.vera.pk}/password/")
    assert page.context["password"] in page.content.decode()
    assert vera.get("/").status_code == 302
    entered = Client().post("/sign-in/", {"username": "vera", "password": page.context["password"]})
    assert entered.status_code == 302


def test_nobody_does_it_to_themselves(people: People, admin: Client) -> None:
    path = f"/people/{people.ada.pk}/"
    assert "This is you." in admin.get(path).content.decode()
    assert admin.post(f"{path}suspend/").status_code == 409
    assert admin.post(f"{path}state/", {"do": "demote"}).status_code == 409
    assert admin.post(f"{path}password/").status_code == 409
    people.ada.refresh_from_db()
    assert (people.ada.is_active, people.ada.is_staff) == (True, True)


def test_administrators_are_made_and_unmade(people: People, admin: Client) -> None:
    path = f"/people/{people.luis.pk}/state/"
    admin.post(path, {"do": "promote"})
    assert enter(people.luis).get("/people/").status_code == 200
    admin.post(path, {"do": "demote"})
    assert enter(people.luis).get("/people/").status_code == 403
    assert admin.get(path).status_code == 405
    assert admin.post(path, {"do": "explode"}).status_code == 422


def test_people_are_found_and_the_list_has_pages(
    people: People, admin: Client, django_assert_max_num_queries: Any
) -> None:
    User.objects.bulk_create(
        User(username=f"user-{n:03}", subject=f"user-{n:03}", name=f"Person {n}") for n in range(120)
    )
    with django_assert_max_num_queries(9):
        page = admin.get("/people/").content.decode()
    assert "Page 1 of 3" in page
    assert "user-119" not in page
    found = admin.get("/people/?q=119").content.decode()
    assert "user-119" in found
    assert "Nobody is called so" in admin.get("/people/?q=%00nobody").content.decode()
    assert admin.get("/people/?page=nonsense").status_code == 200


def test_a_stranger_to_the_list_is_404(admin: Client) -> None:
    assert admin.get("/people/nobody/").status_code == 404
    assert admin.get("/people/01ARZ3NDEKTSV4RRFFQ69G5FAV/").status_code == 404


def test_a_team_gets_a_share_and_its_page_says_what_it_had(
    admin: Client, make_workspace: Callable[..., Any], settle: Callable[..., None]
) -> None:
    make_workspace()
    settle()
    page = admin.get("/people/teams/vision/").content.decode()
    assert "Vera Rosén" in page
    assert "50%" in page  # of two teams with a share of 1 each
    assert "100%" in page
    assert admin.post("/people/teams/vision/", {"share": 3}).status_code == 302
    assert Team.objects.get(slug="vision").share == 3
    event = AuditEvent.objects.get(verb="team.set_share")
    assert (event.actor, event.before, event.after) == ("ada", {"share": 1}, {"share": 3})
    assert "75%" in admin.get("/people/teams/vision/").content.decode()
    admin.post("/people/teams/vision/", {"share": 3})
    assert AuditEvent.objects.filter(verb="team.set_share").count() == 1


@pytest.mark.parametrize("share", ["0", "-1", "1001", "much", ""])
def test_a_share_that_is_none_is_refused(admin: Client, share: str) -> None:
    page = admin.post("/people/teams/vision/", {"share": share})
    assert page.status_code == 422
    assert "share" in page.context["form"].errors
    assert Team.objects.get(slug="vision").share == 1


def test_there_is_no_page_of_an_unknown_team(admin: Client) -> None:
    assert admin.get("/people/teams/nowhere/").status_code == 404
