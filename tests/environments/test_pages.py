"""The pages over HTTP: owner, member and stranger, forms without script, and a constant number of queries."""

from collections.abc import Callable
from copy import copy
from itertools import cycle, islice
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from environments.idle_cards import IN_USE
from environments.models import Workspace
from environments.states import Counted
from portal.compute.models import Allocation
from portal.compute.states import Desired, Phase, Reason
from portal.lib import clock, ids
from portal.usage.models import UsageInterval
from tests.conftest import People

pytestmark = pytest.mark.django_db
Make = Callable[..., Any]
Settle = Callable[..., None]
SignIn = Callable[[Any], Client]


def test_everything_asks_for_a_sign_in(client: Client, make_workspace: Make) -> None:
    pk = make_workspace().pk
    for path in ("/", "/workspaces/", "/workspaces/new/", f"/workspaces/{pk}/", "/images/", "/tokens/"):
        answer = client.get(path)
        assert (answer.status_code, answer["Location"]) == (302, f"/sign-in/?next={path}")
    part = client.get(f"/workspaces/{pk}/part/row/", headers={"HX-Request": "true"})
    assert (part.status_code, part["HX-Redirect"]) == (401, "/sign-in/")


def test_launch_by_form(signed_in: SignIn, people: People, catalog: None) -> None:
    client = signed_in(people.vera)
    page = client.get("/workspaces/new/jupyter-python/").content.decode()
    assert "Launch JupyterLab" in page
    answer = client.post("/workspaces/new/jupyter-python/", {"size": "medium", "name": "churn study"})
    workspace = Workspace.objects.get()
    assert answer["Location"] == f"/workspaces/{workspace.pk}/"
    assert (workspace.name, workspace.size_id) == ("churn study", "medium")
    assert "churn study" in client.get(answer["Location"]).content.decode()


@pytest.mark.parametrize("values", [{"name": "x" * 99}, {"name": "a\tb"}, {"size": "huge"}, {"team": "risk"}])
def test_a_bad_form_comes_back_with_what_was_wrong(
    signed_in: SignIn, people: People, catalog: None, values: dict[str, str]
) -> None:
    answer = signed_in(people.vera).post("/workspaces/new/jupyter-python/", values)
    assert answer.status_code in (302, 422)
    assert (answer.status_code == 302) == Workspace.objects.exists() == ("team" in values)


def test_relaunch_is_one_click(signed_in: SignIn, people: People, make_workspace: Make) -> None:
    make_workspace(size="medium")
    client = signed_in(people.vera)
    assert "medium" in client.get("/").content.decode()
    answer = client.post("/workspaces/relaunch/", {"template": "jupyter-python", "size": "medium", "team": "vision"})
    assert answer.status_code == 302
    assert list(Workspace.objects.values_list("size_id", flat=True)) == ["medium", "medium"]


def test_who_sees_what(signed_in: SignIn, people: People, make_workspace: Make) -> None:
    from portal.accounts.actions import add_member, create_user
    from portal.accounts.models import Role, Team

    pk = make_workspace().pk
    colleague = create_user("bo", "Bo", "correct-horse-battery", actor="test")
    add_member(Team.objects.get(slug="vision"), colleague, Role.MEMBER, actor="test")
    expected = {people.vera: 200, people.luis: 200, people.ada: 200, people.oda: 404, colleague: 403}
    for user, status in expected.items():
        client = signed_in(user)
        assert client.get(f"/workspaces/{pk}/").status_code == status
        assert client.get(f"/workspaces/{pk}/part/stage/").status_code == status
        assert client.get(f"/workspaces/{pk}/log/").status_code == status
    for user in (people.oda, colleague):
        for verb in ("start", "stop", "restart", "delete", "rename", "open"):
            assert signed_in(user).post(f"/workspaces/{pk}/{verb}/").status_code == expected[user]
    assert signed_in(people.luis).post(f"/workspaces/{pk}/open/").status_code == 403
    assert Allocation.objects.get().desired == "run"


def test_nothing_changes_on_get(signed_in: SignIn, people: People, make_workspace: Make) -> None:
    pk = make_workspace().pk
    client = signed_in(people.vera)
    for verb in ("start", "stop", "restart", "rename", "open"):
        assert client.get(f"/workspaces/{pk}/{verb}/").status_code == 405
    assert client.get(f"/workspaces/{pk}/delete/").status_code == 200
    assert Allocation.objects.get().desired == "run"


def test_forms_need_their_token(people: People, make_workspace: Make) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(people.vera, backend="django.contrib.auth.backends.ModelBackend")
    assert client.post(f"/workspaces/{make_workspace().pk}/stop/").status_code == 403


def test_stop_rename_delete_by_form(
    signed_in: SignIn, people: People, make_workspace: Make, settle: Settle, fake_engine: Any
) -> None:
    pk = make_workspace().pk
    settle()
    client = signed_in(people.vera)
    assert ">Running<" in client.get(f"/workspaces/{pk}/").content.decode()
    client.post(f"/workspaces/{pk}/rename/", {"name": "renamed"})
    assert client.post(f"/workspaces/{pk}/rename/", {"name": ""}).status_code == 422
    client.post(f"/workspaces/{pk}/stop/")
    settle()
    assert "renamed" in client.get("/workspaces/?state=stopped").content.decode()
    assert client.post(f"/workspaces/{pk}/delete/", {"volumes": "keep"})["Location"] == "/workspaces/"
    assert "renamed" not in client.get("/workspaces/").content.decode().split("</ul>")[-1]


def test_a_failure_says_why_and_what_to_press(
    signed_in: SignIn, people: People, make_workspace: Make, settle: Settle, fake_engine: Any
) -> None:
    from runtimes.fake_engine import Fault

    fake_engine.inject(Fault.DIES)
    pk = make_workspace().pk
    settle()
    page = signed_in(people.vera).get(f"/workspaces/{pk}/").content.decode()
    assert "ended with exit code 1" in page
    assert "Try again" in page


def test_only_staff_build_images(signed_in: SignIn, people: People, catalog: None) -> None:
    assert signed_in(people.vera).post("/images/jupyter-python/build/").status_code == 403
    assert signed_in(people.ada).post("/images/jupyter-python/build/").status_code == 302
    assert "Waiting to be built" in signed_in(people.vera).get("/images/").content.decode()


def copies(first: Workspace, count: int) -> None:
    """More like it with meters of their own: in turns running, warned, suspended, coming up, failed and never run."""
    now = clock.now()
    held: Any = first.allocation
    soon = {"idle_since": now, "stops_at": now + IN_USE, "warned_at": now, "counted": Counted.TRAFFIC}
    failed = {"phase": Phase.ENDED, "reason": Reason.FAILED, "ended_at": now}
    turns: list[tuple[dict[str, Any], dict[str, Any] | None]] = [
        ({}, {}),
        (soon, {}),
        ({}, {"desired": Desired.SUSPEND, "frozen_at": now}),
        ({}, {"phase": Phase.STARTING}),
        ({}, failed),
        ({}, None),
    ]
    meters = list(UsageInterval.objects.filter(allocation_id=held.pk))
    made: list[Any] = []
    for about, run in islice(cycle(turns), count):
        pk = ids.new_id()
        allocation = None if run is None else copy_of(held, owner_id=pk, **run)
        made.append(copy_of(first, pk=pk, name=pk, allocation=allocation, **about))
    held_now = [workspace.allocation for workspace in made if workspace.allocation is not None]
    Allocation.objects.bulk_create(held_now)
    Workspace.objects.bulk_create(made)
    UsageInterval.objects.bulk_create(
        copy_of(meter, allocation_id=held.pk, owner_id=held.owner_id)
        for meter in meters
        for held in held_now
        if held.open
    )


def copy_of(row: Any, **changes: Any) -> Any:
    found = copy(row)
    for name, value in {"pk": ids.new_id(), **changes}.items():
        setattr(found, name, value)
    return found


@pytest.mark.parametrize("path", ["/", "/workspaces/"])
def test_a_constant_number_of_queries(
    signed_in: SignIn, people: People, make_workspace: Make, settle: Settle, path: str
) -> None:
    client = signed_in(people.vera)
    first = make_workspace()
    settle()
    first.refresh_from_db()
    pages: list[str] = []

    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            pages.append(client.get(path).content.decode())
        return len(seen)

    copies(first, 6)
    client.get(path)
    few = queries()
    copies(first, 1000)
    assert queries() == few
    for sentence in ("Running", "Suspended", "waiting for JupyterLab", "It ended with an error", "Idle stop"):
        assert sentence in pages[0], sentence
        assert sentence in pages[1], sentence
    assert pages[1].count("workspace-row") >= 50


def test_absurd_addresses_are_not_found(signed_in: SignIn, people: People, catalog: None) -> None:
    client = signed_in(people.vera)
    for path in (
        "/workspaces/nope/",
        "/workspaces/%00/",
        "/workspaces/new/nope/",
        "/images/nope/",
        "/workspaces/?state=x",
    ):
        assert client.get(path).status_code == 404
    assert client.get("/workspaces/?page=99999999999999999999").status_code == 200


def test_an_image_says_where_it_is_used_and_staff_cancel_it(
    signed_in: SignIn, people: People, make_workspace: Make, settle: Settle
) -> None:
    from environments.models import Image

    make_workspace()
    settle()
    page = signed_in(people.vera).get("/images/").content.decode()
    assert "for JupyterLab 2026.11, Python 2026.11; runs in 1 workspace" in " ".join(page.split())
    Image.objects.filter(pk="jupyter-python").update(state="building", progress=0.4)
    assert "Cancel build" not in signed_in(people.vera).get("/images/jupyter-python/").content.decode()
    assert signed_in(people.vera).post("/images/jupyter-python/cancel/").status_code == 403
    client = signed_in(people.ada)
    assert "Cancel build" in client.get("/images/jupyter-python/").content.decode()
    assert client.get("/images/jupyter-python/cancel/").status_code == 405
    page = client.post("/images/jupyter-python/cancel/", follow=True).content.decode()
    assert "Cancelled by ada." in page
    assert "Retry" in page
    assert "nothing to cancel" in client.post("/images/jupyter-python/cancel/", follow=True).content.decode()


def test_staff_see_what_is_unused_and_have_it_removed(signed_in: SignIn, people: People, catalog: None) -> None:
    from environments.models import ImageCopy

    ImageCopy.objects.create(image_id="base", reference="berth/base:older", digest="sha256:1", size=2_000_000_000)
    assert signed_in(people.vera).get("/images/unused/").status_code == 403
    assert "Clean up" not in signed_in(people.vera).get("/images/").content.decode()
    client = signed_in(people.ada)
    assert "Clean up 1 unused" in client.get("/images/").content.decode()
    assert "berth/base:older" in client.get("/images/unused/").content.decode()
    assert "are being removed" in client.post("/images/unused/", follow=True).content.decode()
    assert ImageCopy.objects.get().unwanted_at is not None
