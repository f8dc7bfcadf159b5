"""Projects: what somebody says of a workspace or job is what its usage is counted for."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from environments import actions, changes
from environments.configurations import launch_again
from environments.models import Workspace
from jobs import actions as jobs
from jobs import job_file
from jobs.again import submission_of
from jobs.models import Job
from jobs.submission import Submission
from portal.audit.models import AuditEvent
from portal.lib.errors import Invalid
from portal.usage import projects, totals
from portal.usage.models import UsageInterval
from tests.conftest import People
from tests.usage.test_metering import interval

pytestmark = pytest.mark.django_db
Make = Callable[..., Any]
Settle = Callable[..., None]
SignIn = Callable[[Any], Client]
JOB: dict[str, Any] = {"command": ["true"], "template": "python"}


def submit(owner: Any, **values: Any) -> Job:
    return jobs.submit(owner, Submission(**JOB | values), actor=owner.username)


@pytest.mark.parametrize(
    ("written", "meant"),
    [("", ""), ("  ", ""), ("Churn-2027 ", "churn-2027"), ("a", "a"), ("v1.2_x", "v1.2_x"), ("x" * 40, "x" * 40)],
)
def test_however_it_is_written_it_is_one_project(written: str, meant: str) -> None:
    assert projects.checked(written) == meant


@pytest.mark.parametrize("wrong", ["two words", "-x", "é", "x" * 41, "a\nb", "a\0", "a/b", "=1+1", "<b>"])
def test_others_are_refused_by_name(wrong: str) -> None:
    with pytest.raises(Invalid) as refused:
        projects.checked(wrong)
    assert list(refused.value.fields) == ["project"]


def test_usage_keeps_what_it_was_when_it_began(make_workspace: Make, settle: Settle) -> None:
    made = make_workspace(project="Leaves")
    settle()
    assert {row.project for row in UsageInterval.objects.all()} == {"leaves"}
    actions.stop(made, actor="vera")
    settle()
    changes.reconfigure(made, project="soil", actor="vera")
    actions.start(made, actor="vera")
    settle()
    found = {(row.project, row.ended_at is None) for row in UsageInterval.objects.all()}
    assert found == {("leaves", False), ("soil", True)}
    event = AuditEvent.objects.get(verb="workspace.reconfigure")
    assert (event.before["project"], event.after["project"]) == ("leaves", "soil")


def test_other_settings_leave_it_alone(make_workspace: Make, settle: Settle) -> None:
    made = make_workspace(project="leaves")
    actions.stop(made, actor="vera")
    settle()
    changes.reconfigure(made, env={"A": "1"}, actor="vera")
    made.refresh_from_db()
    assert (made.project, launch_again(made).project) == ("leaves", "leaves")


def test_a_job_has_that_of_its_workspace_unless_it_says_another(make_workspace: Make, people: People) -> None:
    workspace = make_workspace(project="leaves")
    inside = {"template": None, "workspace": workspace.pk}
    assert submit(people.vera, **inside).project == "leaves"
    assert submit(people.vera, **inside, project="Soil").project == "soil"
    assert submit(people.vera, **inside, project="").project == ""
    assert submit(people.vera).project == ""


def test_a_job_run_again_has_the_same(catalog: None, people: People) -> None:
    job = submit(people.vera, project="leaves")
    asked = submission_of(job)
    assert "project: leaves\n" in job_file.dump(asked)
    assert job_file.submission(job_file.dump(asked).encode()).project == "leaves"
    with (
        pytest.raises(Invalid) as refused,
        job_file.located(b"command: [a]\ntemplate: python\nproject: a b\n") as found,
    ):
        jobs.submit(people.vera, found, actor="vera")
    assert refused.value.fields["project"][0].startswith("Line 3: Use up to 40")


def test_forms_ask_for_it_and_offer_what_the_team_has(
    catalog: None, people: People, signed_in: SignIn, settle: Settle
) -> None:
    interval(0, 3600, project="leaves")
    interval(0, 3600, allocation_id="B", project="others", team="risk")
    interval(0, 3600, allocation_id="C")
    totals.add_up()
    client = signed_in(people.vera)
    for page in ("/workspaces/new/jupyter-python/", "/jobs/new/"):
        text = client.get(page).content.decode()
        assert '<option value="leaves"></option>' in text and "others" not in text
    assert client.post("/workspaces/new/jupyter-python/", {"project": "a b"}).status_code == 422
    assert client.post("/workspaces/new/jupyter-python/", {"project": "Leaves"}).status_code == 302
    made = Workspace.objects.get()
    page = client.get(made.get_absolute_url()).content.decode()
    assert "<dt>Project</dt>" in page
    settle()
    actions.stop(made, actor="vera")
    settle()
    assert client.post(f"{made.get_absolute_url()}settings/", {"project": "", "env": ""}).status_code == 302
    made.refresh_from_db()
    assert made.project == ""


def test_the_form_of_a_job_shows_what_its_workspace_has(
    make_workspace: Make, people: People, signed_in: SignIn
) -> None:
    workspace = make_workspace(project="leaves")
    client = signed_in(people.vera)
    address = f"/jobs/new/?workspace={workspace.pk}"
    assert 'name="project" value="leaves"' in client.get(address).content.decode()
    values = {"template": f"workspace:{workspace.pk}", "command": "true", "size": "small"}
    for said, meant in (("leaves", "leaves"), ("", ""), ("soil", "soil")):
        assert client.post(address, values | {"project": said}).status_code == 302
        assert Job.objects.latest("pk").project == meant


def test_lists_and_pages_narrow_to_it(catalog: None, people: People, signed_in: SignIn) -> None:
    interval(0, 3600, project="leaves")
    interval(0, 3600, allocation_id="C")
    submit(people.vera, project="leaves", name="one")
    submit(people.vera, name="two")
    client = signed_in(people.vera)
    found = client.get("/jobs/?project=leaves").content.decode()
    assert "Project leaves" in found and ">one<" in found and ">two<" not in found
    page = client.get("/usage/?by=project&period=year").content.decode()
    assert "leaves" in page and "without a project" in page
    narrowed = client.get("/usage/?by=user&period=year&project=leaves").content.decode()
    assert "Project" in narrowed
