"""TensorBoard on a job's files: a workspace that reads them, for whoever may."""

from collections.abc import Callable
from typing import Any

import pytest

from environments import actions as workspaces
from environments import configurations
from environments.chosen import chosen_by_workspace
from environments.launch import Launch
from environments.models import Volume, Workspace
from environments.mounts import mounts_of
from jobs import places
from jobs.models import Job
from portal.lib import clock
from portal.lib.errors import Invalid
from tests.conftest import People
from tests.jobs.test_life import ends

pytestmark = pytest.mark.django_db
Submit = Callable[..., Job]


@pytest.fixture
def ran(submit: Submit, tick: Callable[..., None], fake_engine: Any) -> Job:
    ends(fake_engine, "true", exit_code=0)
    job = submit(command=["true"], name="churn-net")
    tick()
    job.refresh_from_db()
    return job


def reads(workspace: Workspace) -> list[dict[str, Any]]:
    return [one for one in mounts_of(workspace) if one["target"].startswith("/data/job-")]


def test_one_click_starts_it_and_the_next_finds_it_again(ran: Job, people: People, signed_in: Any) -> None:
    client = signed_in(people.vera)
    assert f'action="/jobs/{ran.pk}/tensorboard/"' in client.get(f"/jobs/{ran.pk}/").content.decode()
    first, again = (client.post(f"/jobs/{ran.pk}/tensorboard/") for _ in range(2))
    made = Workspace.objects.get()
    assert first.url == again.url == f"/workspaces/{made.pk}/"
    key = places.key_of(ran)
    assert (made.name, made.owner, made.team) == ("TensorBoard of churn-net", people.vera, ran.team)
    assert made.parameters == {"folder": f"/data/{key}"}
    assert made.allocation is not None
    mounted = {"volume": ran.volume.engine_name, "target": f"/data/{key}", "read_only": True}
    assert mounted in made.allocation.spec["mounts"]
    assert made.allocation.spec["command"][-1] == f"/data/{key}"


def test_each_job_and_each_person_has_one_of_their_own(
    ran: Job, submit: Submit, tick: Callable[..., None], people: People, signed_in: Any
) -> None:
    other = submit(command=["true"], name="churn-net")
    tick()
    for job in (ran, other):
        signed_in(people.vera).post(f"/jobs/{job.pk}/tensorboard/")
    signed_in(people.luis).post(f"/jobs/{ran.pk}/tensorboard/")
    made = set(Workspace.objects.values_list("name", "owner__username"))
    assert made == {
        ("TensorBoard of churn-net", "vera"),
        ("TensorBoard of churn-net-2", "vera"),
        ("TensorBoard of churn-net", "luis"),
    }


def test_who_may_not_read_the_job_gets_nothing(ran: Job, people: People, bo: Any, signed_in: Any) -> None:
    key = places.key_of(ran)
    for user in (bo, people.oda):
        assert signed_in(user).post(f"/jobs/{ran.pk}/tensorboard/").status_code in (403, 404)
        with pytest.raises(Invalid) as problem:
            workspaces.create(user, Launch(template="jupyter-python", volumes=[key]), actor="test")
        assert set(problem.value.fields) == {"volumes"}
    assert not Workspace.objects.exists()


def test_before_it_has_begun_there_is_nothing_to_show(submit: Submit, people: People, signed_in: Any) -> None:
    job = submit()
    assert "/tensorboard/" not in signed_in(people.vera).get(f"/jobs/{job.pk}/").content.decode()


def test_files_that_were_deleted_are_refused_and_no_longer_mounted(ran: Job, people: People, signed_in: Any) -> None:
    client = signed_in(people.vera)
    client.post(f"/jobs/{ran.pk}/tensorboard/")
    made = Workspace.objects.get()
    assert len(reads(made)) == 1
    Volume.objects.filter(pk=ran.volume_id).update(delete_requested_at=clock.now())
    assert reads(made) == []
    assert "/tensorboard/" not in client.get(f"/jobs/{ran.pk}/").content.decode()
    Workspace.objects.update(deleted_at=clock.now())
    page = client.post(f"/jobs/{ran.pk}/tensorboard/", follow=True).content.decode()
    assert "The files of churn-net were deleted." in page


def test_who_may_no_longer_read_it_starts_without_it(ran: Job, people: People) -> None:
    from portal.accounts.models import Membership

    key = places.key_of(ran)
    launch = Launch(template="jupyter-python", volumes=[key])
    made = workspaces.create(people.luis, launch, actor="luis")
    assert len(reads(made)) == 1
    Membership.objects.filter(user=people.luis).update(role="member")
    assert reads(made) == []


def test_any_workspace_may_read_a_job_and_a_copy_does_too(ran: Job, people: People) -> None:
    key = places.key_of(ran)
    made = workspaces.create(people.vera, Launch(template="jupyter-python", volumes=[key, key]), actor="vera")
    assert made.places == chosen_by_workspace([made])[made.pk].volumes == [key]
    assert list(configurations.launch_again(made).volumes) == [key]
    Volume.objects.filter(pk=ran.volume_id).update(delete_requested_at=clock.now())
    assert list(configurations.launch_again(made).volumes) == []


def test_the_launch_page_keeps_what_it_does_not_offer(ran: Job, people: People, signed_in: Any) -> None:
    key = places.key_of(ran)
    made = workspaces.create(people.vera, Launch(template="jupyter-python", volumes=[key]), actor="vera")
    configurations.prefer(people.vera, configurations.launch_again(made), actor="vera")
    page = signed_in(people.vera).get("/workspaces/new/jupyter-python/").content.decode()
    assert f'value="{key}"' in page
