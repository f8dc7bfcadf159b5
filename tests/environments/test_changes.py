"""Changing, copying and handing over a workspace: who may, when, and that nothing is left half done."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from environments import access, actions, changes, handover
from environments.models import Handover, TemplateVersion, Workspace
from portal.accounts.models import Membership
from portal.audit.models import AuditEvent
from portal.lib.errors import Conflict, Invalid
from tests.conftest import People

pytestmark = pytest.mark.django_db
Make = Callable[..., Any]
Settle = Callable[..., None]
SignIn = Callable[[Any], Client]

SCHEMA = {
    "type": "object",
    "properties": {
        "theme": {"enum": ["light", "dark"], "default": "light"},
        "rounds": {"type": "integer", "minimum": 1, "x-section": "Training"},
    },
    "additionalProperties": False,
}


@pytest.fixture
def stopped(make_workspace: Make, settle: Settle) -> Any:
    """Vera's, named study, stopped, with a parameter and a variable."""
    TemplateVersion.objects.update(parameters=SCHEMA)
    made = make_workspace(name="study", parameters={"theme": "dark"}, env={"COLOUR": "red"})
    actions.stop(made, actor="vera")
    settle()
    made.refresh_from_db()
    return made


def url(workspace: Any, what: str = "") -> str:
    return f"/workspaces/{workspace.pk}/{what}"


def test_size_by_form_with_a_price_for_each(
    stopped: Any, signed_in: SignIn, people: People, settle: Settle, fake_engine: Any
) -> None:
    client = signed_in(people.vera)
    page = client.get(url(stopped)).content.decode()
    assert "medium: 2 cpu · 4 GB · € 0.06 per hour" in page
    assert client.post(url(stopped, "size/"), {"size": "medium"}).status_code == 302
    assert Workspace.objects.get().size_id == "medium"
    for wrong in ({"size": "huge"}, {"size": ""}, {}):
        assert client.post(url(stopped, "size/"), wrong).status_code == 422
    actions.start(stopped, actor="vera")
    settle()
    answer = client.post(url(stopped, "size/"), {"size": "small"})
    assert answer.status_code == 422
    assert "Stop study first" in answer.content.decode()
    assert Workspace.objects.get().size_id == "medium"


def test_settings_by_form(stopped: Any, signed_in: SignIn, people: People, settle: Settle) -> None:
    client = signed_in(people.vera)
    page = client.get(url(stopped)).content.decode()
    assert "COLOUR=red" in page and re.search(r'name="parameters.theme" value="dark"[^>]* checked', page)
    form = {"parameters.theme": "light", "parameters.rounds": "", "env": "A=1\n\nB= two=2 \n"}
    assert client.post(url(stopped, "settings/"), form).status_code == 302
    stopped.refresh_from_db()
    assert (stopped.parameters, stopped.environment) == ({"theme": "light"}, {"A": "1", "B": " two=2 "})
    actions.start(stopped, actor="vera")
    stopped.refresh_from_db()
    assert stopped.allocation.spec["environment"]["A"] == "1"
    assert "Stop study first" in client.post(url(stopped, "settings/"), form).content.decode()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"env": "nothing"}, "Line 1"),
        ({"env": "A=1\nA=2"}, "Line 2"),
        ({"env": "1A=x"}, "cannot be used as a variable name"),
        ({"env": "JUPYTER_TOKEN=x"}, "cannot be used as a variable name"),
        ({"env": "A={secret}"}, "must be text"),
        ({"env": "A=" + "x" * 5000}, "must be text"),
        ({"parameters.theme": "pink"}, "Choose one of: light, dark."),
        ({"parameters.rounds": "many"}, "Must be a whole number."),
        ({"parameters.rounds": "NaN"}, "Must be a whole number."),
        ({"parameters.rounds": "0"}, "Must be at least 1."),
    ],
)
def test_bad_settings_come_back_and_change_nothing(
    stopped: Any, signed_in: SignIn, people: People, values: dict[str, str], said: str
) -> None:
    answer = signed_in(people.vera).post(url(stopped, "settings/"), {"parameters.theme": "light", "env": ""} | values)
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert list(answer.context["settings_form"].errors) == list(values)
    stopped.refresh_from_db()
    assert (stopped.parameters, stopped.environment) == ({"theme": "dark"}, {"COLOUR": "red"})


def test_the_record_names_what_changed_but_not_to_what(stopped: Any) -> None:
    changes.reconfigure(stopped, env={"TOKEN": "hush"}, actor="vera")
    told = AuditEvent.objects.get(verb="workspace.reconfigure")
    assert (told.before["env"], told.after) == (["COLOUR"], {"parameters": ["theme"], "env": ["TOKEN"], "project": ""})
    assert "hush" not in str(AuditEvent.objects.values_list("after", "before"))


def test_a_copy_is_the_same_under_another_name(stopped: Any, signed_in: SignIn, people: People) -> None:
    client = signed_in(people.vera)
    assert client.post(url(stopped, "duplicate/"), {"name": ""}).status_code == 302
    copy = Workspace.objects.get(name="study-2")
    for same in ("owner", "team", "version", "size", "home", "parameters", "environment"):
        assert getattr(copy, same) == getattr(stopped, same)
    assert copy.allocation is not None
    assert client.post(url(stopped, "duplicate/"), {"name": ""}).status_code == 302
    assert client.post(url(stopped, "duplicate/"), {"name": "mine"}).status_code == 302
    answer = client.post(url(stopped, "duplicate/"), {"name": "study"})
    assert (answer.status_code, "already have a workspace" in answer.content.decode()) == (422, True)
    assert set(Workspace.objects.values_list("name", flat=True)) == {"study", "study-2", "study-3", "mine"}


def test_a_copy_of_what_is_no_longer_offered_is_refused(stopped: Any, signed_in: SignIn, people: People) -> None:
    stopped.version.template.retired = True
    stopped.version.template.save()
    answer = signed_in(people.vera).post(url(stopped, "duplicate/"), {"name": ""})
    assert (answer.status_code, "no template" in answer.content.decode()) == (422, True)
    assert Workspace.objects.count() == 1


def test_leads_resize_but_read_and_change_no_settings(stopped: Any, bo: Any, signed_in: SignIn, people: People) -> None:
    for user in (people.luis, people.ada):
        client = signed_in(user)
        assert client.post(url(stopped, "size/"), {"size": "medium"}).status_code == 302
        assert "COLOUR" not in client.get(url(stopped)).content.decode()
        for what in ("settings/", "duplicate/", "shares/", "offer/"):
            assert client.post(url(stopped, what), {"env": ""}).status_code == 403
    for user, status in {bo: 403, people.oda: 404}.items():
        for what in ("size/", "settings/", "duplicate/", "shares/", "offer/", "offer/withdraw/"):
            assert signed_in(user).post(url(stopped, what)).status_code == status
        assert signed_in(user).get(url(stopped, "take-over/")).status_code == 404


def test_an_offer_is_looked_at_and_accepted(stopped: Any, bo: Any, signed_in: SignIn, people: People) -> None:
    bos_own = bo.workspaces.model.objects.filter(owner=bo)
    assert signed_in(people.vera).post(url(stopped, "offer/"), {"to": "bo"}).status_code == 302
    assert "Offered to Bo Lind" in signed_in(people.vera).get(url(stopped)).content.decode()
    client = signed_in(bo)
    assert client.get(url(stopped)).status_code == 403
    for path in ("/", "/workspaces/"):
        assert "Offered to you" in client.get(path).content.decode()
    review = client.get(url(stopped, "take-over/")).content.decode()
    assert "COLOUR=red" in review and "Vera Rosén" in review
    stopped.refresh_from_db()
    assert (stopped.owner, bos_own.count()) == (people.vera, 0)
    answer = client.post(url(stopped, "take-over/"), {"answer": "accept"})
    assert answer["Location"] == url(stopped)
    before = stopped.home
    stopped.refresh_from_db()
    assert (stopped.owner, stopped.name, stopped.team.slug, stopped.size_id) == (bo, "study", "vision", "small")
    assert (stopped.home.owner, before.owner) == (bo, people.vera)
    actions.start(stopped, actor="bo")
    stopped.refresh_from_db()
    assert stopped.allocation.spec["mounts"][0]["volume"] == stopped.home.engine_name
    assert stopped.allocation.user == bo
    assert client.get(url(stopped)).status_code == 200
    assert signed_in(people.vera).get(url(stopped)).status_code == 403
    assert client.post(url(stopped, "take-over/"), {"answer": "accept"}).status_code == 404
    told = AuditEvent.objects.get(verb="workspace.hand_over")
    assert (told.actor, told.before["owner"], told.after["owner"]) == ("bo", "vera", "bo")


def test_a_taken_name_gets_a_number(stopped: Any, bo: Any, make_workspace: Make, people: People) -> None:
    make_workspace(bo, name="study")
    handover.accept(handover.offer(stopped, "bo", people.vera))
    assert set(bo.workspaces.values_list("name", flat=True)) == {"study", "study-2"}


def test_declined_and_withdrawn_offers_change_nothing(stopped: Any, bo: Any, signed_in: SignIn, people: People) -> None:
    handover.offer(stopped, "bo", people.vera)
    assert signed_in(bo).post(url(stopped, "take-over/"), {"answer": "decline"}).status_code == 302
    kept = handover.offer(stopped, "bo", people.vera)
    for _ in range(2):
        assert signed_in(people.vera).post(url(stopped, "offer/withdraw/")).status_code == 302
    assert signed_in(bo).get(url(stopped, "take-over/")).status_code == 404
    with pytest.raises(Conflict):
        handover.accept(kept)
    handover.decline(kept)
    stopped.refresh_from_db()
    assert stopped.owner == people.vera
    assert list(Handover.objects.values_list("answer", flat=True)) == ["withdrawn", "declined"]


def test_offering_again_withdraws_the_offer_before(stopped: Any, bo: Any, people: People) -> None:
    first = handover.offer(stopped, "bo", people.vera)
    handover.offer(stopped, "luis", people.vera)
    with pytest.raises(Conflict):
        handover.accept(first)
    assert not access.offers_to(bo).exists()
    assert access.offers_to(people.luis).count() == 1


@pytest.mark.parametrize("to", ["vera", "oda", "ada", "nobody", "", "x" * 10_000])
def test_only_others_in_its_team_can_be_offered_it(
    stopped: Any, bo: Any, people: People, signed_in: SignIn, to: str
) -> None:
    with pytest.raises(Invalid) as refused:
        handover.offer(stopped, to, people.vera)
    assert list(refused.value.fields) == ["to"]
    assert signed_in(people.vera).post(url(stopped, "offer/"), {"to": to}).status_code == 422
    assert not Handover.objects.exists()


def test_what_runs_is_neither_offered_nor_taken_over(
    stopped: Any, bo: Any, people: People, settle: Settle, signed_in: SignIn
) -> None:
    offered = handover.offer(stopped, "bo", people.vera)
    actions.start(stopped, actor="vera")
    settle()
    for act in (lambda: handover.offer(stopped, "bo", people.vera), lambda: handover.accept(offered)):
        with pytest.raises(Conflict) as refused:
            act()
        assert refused.value.code == "not_stopped"
    assert "must be stopped first" in signed_in(people.vera).post(url(stopped, "offer/"), {"to": "bo"}).content.decode()
    answer = signed_in(bo).post(url(stopped, "take-over/"), {"answer": "accept"}, follow=True)
    assert "must be stopped first" in answer.content.decode()
    assert Workspace.objects.get().owner == people.vera


def test_who_left_the_team_cannot_accept(stopped: Any, bo: Any, people: People) -> None:
    offered = handover.offer(stopped, "bo", people.vera)
    Membership.objects.filter(user=bo).delete()
    with pytest.raises(Conflict):
        handover.accept(offered)
    assert Handover.objects.get().answer == ""


def test_a_lead_hands_on_what_somebody_left_behind(stopped: Any, bo: Any, people: People, signed_in: SignIn) -> None:
    for user in (people.luis, people.ada):
        assert signed_in(user).post(url(stopped, "offer/"), {"to": "bo"}).status_code == 403
    Membership.objects.filter(user=people.vera).delete()
    for user in (people.luis, people.ada):
        assert signed_in(user).post(url(stopped, "offer/"), {"to": "bo"}).status_code == 302
    handover.accept(access.offer_to(bo, stopped.pk))
    assert Workspace.objects.get().owner == bo


def test_a_deleted_workspace_is_no_longer_on_offer(stopped: Any, bo: Any, people: People) -> None:
    offered = handover.offer(stopped, "bo", people.vera)
    actions.delete(stopped, delete_files=False, actor="vera")
    assert not access.offers_to(bo).exists()
    with pytest.raises(Conflict):
        handover.accept(offered)


def test_nothing_changes_on_get(stopped: Any, bo: Any, people: People, signed_in: SignIn) -> None:
    for what in ("size/", "settings/", "duplicate/", "shares/", "offer/", "offer/withdraw/"):
        assert signed_in(people.vera).get(url(stopped, what)).status_code == 405
    handover.offer(stopped, "bo", people.vera)
    assert signed_in(bo).get(url(stopped, "take-over/") + "?answer=accept").status_code == 200
    assert Workspace.objects.get().owner == people.vera


def test_a_copy_keeps_its_version_and_its_code(make_workspace: Callable[..., Any]) -> None:
    first = make_workspace(git_url="https://git.example.org/vision/churn.git", git_ref="main")
    copy = changes.duplicate(first, actor="vera")
    assert (copy.git_url, copy.git_ref, copy.version) == (first.git_url, first.git_ref, first.version)
