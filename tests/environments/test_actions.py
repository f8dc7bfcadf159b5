"""Workspaces through their actions: bad input names its field, and nothing is left half done."""

from collections.abc import Callable
from typing import Any

import pytest

from environments import actions
from environments.models import Volume, Workspace
from environments.states import W, state_of, where_state
from portal.audit.models import AuditEvent
from portal.compute.models import Allocation
from portal.lib.errors import Conflict, Invalid
from tests.conftest import People

pytestmark = pytest.mark.django_db
Make = Callable[..., Any]
Settle = Callable[..., None]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"template": "nope"}, "template"),
        ({"template": "x" * 10_000}, "template"),
        ({"size": "huge"}, "size"),
        ({"size": ""}, "size"),
        ({"version": "1"}, "version"),
        ({"team": "risk"}, "team"),
        ({"name": "a\nb"}, "name"),
        ({"name": "a\u202eb"}, "name"),
        ({"name": "x" * 10_000}, "name"),
        ({"parameters": {"x": 1}}, "parameters.x"),
        ({"git_url": "http://example.org/x.git"}, "git.url"),
        ({"git_ref": "main"}, "git.ref"),
        ({"env": {"1A": "x"}}, "env"),
        ({"env": {"JUPYTER_TOKEN": "x"}}, "env"),
        ({"env": {"A": "{secret}"}}, "env"),
        ({"env": {"A": "x" * 5000}}, "env"),
    ],
)
def test_bad_input_names_its_field_and_creates_nothing(
    make_workspace: Make, values: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        make_workspace(**values)
    assert list(refused.value.fields) == [field]
    assert not Workspace.objects.exists()
    assert not Allocation.objects.exists()


def test_a_taken_name_is_refused_and_free_again_after_deletion(make_workspace: Make) -> None:
    workspace = make_workspace(name="study")
    with pytest.raises(Invalid):
        make_workspace(name=" study ")
    actions.delete(workspace, delete_files=False, actor="vera")
    assert make_workspace(name="study").name == "study"


def test_names_are_found_when_none_is_given(make_workspace: Make) -> None:
    assert [make_workspace().name for _ in range(2)] == ["jupyterlab-1", "jupyterlab-2"]


def test_an_empty_team_list_means_nobody(make_workspace: Make) -> None:
    from environments.models import Template

    Template.objects.update(teams=[])
    with pytest.raises(Invalid):
        make_workspace()


def test_starting_while_it_stops_is_a_conflict(make_workspace: Make, settle: Settle, fake_engine: Any) -> None:
    workspace = make_workspace()
    settle()
    actions.stop(workspace, actor="vera")
    with pytest.raises(Conflict) as refused:
        actions.start(workspace, actor="vera")
    assert refused.value.code == "stopping"


def test_what_holds_already_is_no_error(make_workspace: Make, settle: Settle) -> None:
    workspace = make_workspace()
    settle()
    actions.start(workspace, actor="vera")
    assert Allocation.objects.count() == 1
    for _ in range(2):
        actions.stop(workspace, actor="vera")
    settle()
    actions.stop(workspace, actor="vera")
    assert AuditEvent.objects.filter(verb="allocation.end").count() == 1
    for _ in range(2):
        actions.delete(workspace, delete_files=False, actor="vera")
        workspace.refresh_from_db()


def test_size_changes_only_while_stopped(make_workspace: Make, settle: Settle) -> None:
    workspace = make_workspace()
    with pytest.raises(Conflict):
        actions.resize(workspace, "medium", actor="vera")
    actions.stop(workspace, actor="vera")
    settle()
    actions.resize(workspace, "medium", actor="vera")
    actions.start(workspace, actor="vera")
    workspace.refresh_from_db()
    assert workspace.allocation.size_id == "medium"


def test_a_shared_home_is_not_deleted_with_one_workspace(make_workspace: Make, settle: Settle) -> None:
    first, second = make_workspace(), make_workspace()
    with pytest.raises(Conflict) as refused:
        actions.delete(first, delete_files=True, actor="vera")
    assert "jupyterlab-2" in refused.value.detail
    actions.delete(second, delete_files=False, actor="vera")
    actions.delete(first, delete_files=True, actor="vera")
    assert Volume.objects.get(kind="home").delete_requested_at is not None
    assert make_workspace().home_id != first.home_id


def test_a_home_is_one_per_person(make_workspace: Make, people: People) -> None:
    assert make_workspace().home_id == make_workspace().home_id
    assert make_workspace(people.oda, team="risk").home_id != Workspace.objects.last().home_id  # type: ignore[union-attr]


def test_every_state_is_found_by_its_filter(make_workspace: Make, settle: Settle, fake_engine: Any) -> None:
    from portal.lib import clock

    running, stopping, failed, queued, unknown, stopped, deleted = (make_workspace() for _ in range(7))
    for one in (stopped, deleted):
        actions.stop(one, actor="vera")
    settle()
    actions.delete(deleted, delete_files=False, actor="vera")
    actions.stop(stopping, actor="vera")
    Allocation.objects.filter(pk=failed.allocation_id).update(phase="ended", ended_at=clock.now(), reason="oom")
    Allocation.objects.filter(pk=queued.allocation_id).update(phase="pending", node=None)
    Allocation.objects.filter(pk=unknown.allocation_id).update(unknown_since=clock.now())
    for workspace in Workspace.objects.select_related("allocation"):
        state = state_of(workspace.allocation, workspace.deleted_at is not None)
        found = [s for s in W if Workspace.objects.filter(where_state(s), pk=workspace.pk).exists()]
        assert found == [state]
    assert state_of(Allocation.objects.get(pk=running.allocation_id), False) == W.RUNNING


def test_every_action_is_audited_with_its_actor(make_workspace: Make) -> None:
    workspace = make_workspace()
    actions.rename(workspace, "new name", actor="vera")
    actions.delete(workspace, delete_files=False, actor="luis")
    told = AuditEvent.objects.filter(target=workspace.topic).values_list("actor", "verb")
    assert list(told) == [("vera", "workspace.create"), ("vera", "workspace.rename"), ("luis", "workspace.delete")]


def test_parameters_are_checked_and_filled_in(make_workspace: Make) -> None:
    from environments.models import TemplateVersion

    schema = {
        "type": "object",
        "properties": {"theme": {"enum": ["light", "dark"], "default": "light"}, "greeting": {"type": "string"}},
        "additionalProperties": False,
    }
    TemplateVersion.objects.update(
        parameters=schema, command=["x", "--theme={parameters.theme}"], environment={"G": "{parameters.greeting}"}
    )
    spec = make_workspace(parameters={"greeting": "hi"}).allocation.spec
    assert (spec["command"], spec["environment"]) == (["x", "--theme=light"], {"G": "hi"})
    for wrong in ({"theme": "pink"}, {"other": 1}, {"greeting": "{secret}"}):
        with pytest.raises(Invalid) as refused:
            make_workspace(parameters=wrong)
        assert next(iter(refused.value.fields)).startswith("parameters")
