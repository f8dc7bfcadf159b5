"""What a submission is refused for, and what it takes over from a workspace."""

from collections.abc import Callable
from typing import Any

import pytest

from environments.models import TemplateVersion
from jobs import actions
from jobs.models import Job
from portal.accounts.models import Membership
from portal.lib.errors import Invalid
from tests.conftest import People

pytestmark = pytest.mark.django_db
Submit = Callable[..., Job]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"inputs": ["unknown"]}, "inputs"),
        ({"parameters": {"rate": float("nan")}}, "parameters"),
        ({"parameters": {"rate": float("inf")}}, "parameters"),
        ({"parameters": {"rate": 10**5000}}, "parameters"),
        ({"retry_rules": [{"exit_codes": [True], "then": "retry"}]}, "retry_rules"),
        ({"retry_rules": [{"exit_codes": [], "then": "retry"}]}, "retry_rules"),
        ({"retry_rules": [{"reason": "", "then": "retry"}]}, "retry_rules"),
        ({"retry_rules": [{"reason": "lost", "then": "fail"}]}, "retry_rules"),
    ],
)
def test_what_could_never_work_is_refused(submit: Submit, values: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as problem:
        submit(**values)
    assert set(problem.value.fields) == {field}
    assert not Job.objects.exists()


@pytest.fixture
def like(submit: Submit, make_workspace: Callable[..., Any]) -> Submit:
    """Submit a job that runs in a workspace's environment."""
    workspace = make_workspace(size="medium")

    def make(**values: Any) -> Job:
        return submit(template=None, workspace=workspace.pk, **values)

    return make


def test_it_takes_over_the_workspaces_environment(like: Submit) -> None:
    job = like()
    assert job.workspace is not None
    assert (job.version, job.size_id, job.team) == (job.workspace.version, "medium", job.workspace.team)


def test_another_version_and_size_may_be_asked_for(like: Submit) -> None:
    other = TemplateVersion.objects.get(template="jupyter-python")
    other.pk, other.version = None, "other"
    other.save()
    job = like(version="other", size="small")
    assert (job.version, job.size_id) == (other, "small")
    with pytest.raises(Invalid) as problem:
        like(version="unknown")
    assert set(problem.value.fields) == {"version"}


def test_what_runs_in_an_environment_of_its_own_does_so_again(
    submit: Submit, people: People, make_workspace: Callable[..., Any]
) -> None:
    job = submit(workspace=make_workspace().pk)
    again = actions.rerun(job, people.vera, actor="vera")
    assert (again.version.template_id, again.workspace) == ("python", job.workspace)


def test_who_left_the_workspaces_team_cannot_charge_it(like: Submit, people: People) -> None:
    Membership.objects.filter(user=people.vera).delete()
    with pytest.raises(Invalid) as problem:
        like()
    assert set(problem.value.fields) == {"team"}
