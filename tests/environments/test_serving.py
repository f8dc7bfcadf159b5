"""A workspace that all jobs of its team log to: who makes it that, who takes it back, and that a team has one."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client

from environments import access, actions, handover, serving
from environments.access import NONE, OWNER, STEWARD, Right
from environments.models import Workspace
from environments.states import Serves
from portal.accounts.actions import add_member
from portal.accounts.models import Membership, Role, Team
from portal.audit.models import AuditEvent
from portal.compute.models import Allocation
from portal.lib import clock
from portal.lib.errors import Conflict, Forbidden
from tests.conftest import People

pytestmark = pytest.mark.django_db
Make = Callable[..., Any]
SignIn = Callable[[Any], Client]


@pytest.fixture(autouse=True)
def door(settings: Any) -> None:
    settings.SERVICES_PORT = 8006


@pytest.fixture
def vision(people: People) -> Team:
    return Team.objects.get(slug="vision")


@pytest.fixture
def mlflow(make_workspace: Make, people: People) -> Any:
    """Luis's, who leads vision."""
    return make_workspace(people.luis, template="mlflow", name="experiments")


def test_who_leads_the_team_gives_it_an_mlflow_of_theirs(
    mlflow: Any, vision: Team, people: People, signed_in: SignIn
) -> None:
    page = signed_in(people.luis).get(mlflow.get_absolute_url()).content.decode()
    assert "Use as the team’s MLflow" in page
    assert not access.serving([vision], Serves.MLFLOW)
    answer = signed_in(people.luis).post(f"/workspaces/{mlflow.pk}/serve-team/", follow=True)
    assert "No longer use it for the team" in answer.content.decode()
    assert list(access.serving([vision], Serves.MLFLOW)) == [mlflow]
    serving.serve(mlflow, by=people.luis)
    signed_in(people.luis).post(f"/workspaces/{mlflow.pk}/serve-team/end/")
    assert not access.serving([vision], Serves.MLFLOW)
    serving.take_back(mlflow, actor="luis")
    verbs = AuditEvent.objects.filter(target=mlflow.topic, verb__endswith="_team").order_by("pk")
    assert list(verbs.values_list("verb", flat=True)) == ["workspace.serve_team", "workspace.leave_team"]


def test_nobody_else_and_nothing_else(mlflow: Any, make_workspace: Make, people: People, settings: Any) -> None:
    member = make_workspace(people.vera, template="mlflow")
    other = make_workspace(people.luis, template="tensorboard")
    for workspace, person in ((member, people.vera), (other, people.luis), (mlflow, people.ada), (mlflow, people.vera)):
        with pytest.raises(Forbidden):
            serving.serve(workspace, by=person)
    settings.SERVICES_PORT = 0
    with pytest.raises(Forbidden):
        serving.serve(mlflow, by=people.luis)


def test_pages_show_it_to_those_whom_it_concerns(
    mlflow: Any, make_workspace: Make, people: People, signed_in: SignIn
) -> None:
    member = make_workspace(people.vera, template="mlflow")
    assert "team’s MLflow" not in signed_in(people.vera).get(member.get_absolute_url()).content.decode()
    assert signed_in(people.vera).post(f"/workspaces/{member.pk}/serve-team/").status_code == 403
    assert signed_in(people.vera).post(f"/workspaces/{mlflow.pk}/serve-team/").status_code == 403
    assert signed_in(people.oda).post(f"/workspaces/{mlflow.pk}/serve-team/").status_code == 404
    serving.serve(mlflow, by=people.luis)
    assert signed_in(people.vera).post(f"/workspaces/{mlflow.pk}/serve-team/end/").status_code == 403
    assert "No longer use it" in signed_in(people.ada).get(mlflow.get_absolute_url()).content.decode()
    team = signed_in(people.ada).get("/people/teams/vision/").content.decode()
    assert "Jobs of the team log to experiments of Luis Okafor: queued." in team


def test_a_team_has_one(mlflow: Any, make_workspace: Make, people: People, signed_in: SignIn) -> None:
    second = make_workspace(people.luis, template="mlflow")
    serving.serve(mlflow, by=people.luis)
    with pytest.raises(Conflict, match="experiments of Luis Okafor"):
        serving.serve(second, by=people.luis)
    answer = signed_in(people.luis).post(f"/workspaces/{second.pk}/serve-team/", follow=True)
    assert "Take that back first." in answer.content.decode()
    with pytest.raises(IntegrityError), transaction.atomic():
        Workspace.objects.filter(pk=second.pk).update(serves_team="mlflow")
    actions.delete(mlflow, delete_files=False, actor="luis")
    assert serving.serve(second, by=people.luis).serves_team == "mlflow"


def test_members_may_come_to_its_pages_and_no_further(mlflow: Any, people: People, bo: Any, settings: Any) -> None:
    assert access.rights_on(bo, mlflow) == NONE
    serving.serve(mlflow, by=people.luis)
    mlflow.refresh_from_db()
    assert access.rights_on(bo, mlflow) == Right.VISIT
    assert access.rights_on(people.luis, mlflow) == OWNER
    assert access.rights_on(people.ada, mlflow) == STEWARD
    assert access.rights_on(people.oda, mlflow) == NONE
    pattern, settings.WORKSPACE_URL = settings.WORKSPACE_URL, "http://workspaces.localhost:8000/w/{id}/"
    assert access.rights_on(bo, mlflow) == NONE
    settings.WORKSPACE_URL = pattern
    Membership.objects.filter(user=people.luis).delete()
    assert access.rights_on(bo, mlflow) == NONE
    assert not access.serving([mlflow.team], Serves.MLFLOW)


def test_whose_it_becomes_decides_anew(mlflow: Any, people: People, bo: Any, vision: Team) -> None:
    serving.serve(mlflow, by=people.luis)
    ended = {"phase": "ended", "desired": "end", "ended_at": clock.now(), "next_look_at": None}
    Allocation.objects.filter(pk=mlflow.allocation_id).update(**ended)
    taken = handover.accept(handover.offer(mlflow, "bo", people.luis))
    assert (taken.owner, taken.serves_team) == (bo, "")
    Membership.objects.filter(user=bo).delete()
    add_member(vision, bo, Role.LEAD, actor="test")
    assert serving.serve(taken, by=bo).serves_team == "mlflow"
