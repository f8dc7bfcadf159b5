"""Whatever is killed, whenever: every job ends once, as it should, and what is written of it is true."""

from collections.abc import Iterator

import pytest

from tests.callers import Caller
from tests.chaos.job_crew import GO, JobCrew, publish_template
from tests.chaos.witness import watching
from tests.system import Berth

pytestmark = [pytest.mark.chaos, pytest.mark.docker]

CODE = "import os; os.makedirs('/home/berth/src'); open('/home/berth/src/train.txt', 'w').write('hello')"


@pytest.fixture(scope="module")
def jobs(berth: Berth) -> Iterator[JobCrew]:
    found = JobCrew(berth, berth.api("lead"))
    publish_template(berth)
    _write_code(berth, found.caller)
    yield found
    for job in found.caller.do("GET", "/jobs/?limit=100")["results"]:
        found.caller.do("POST", f"/jobs/{job['id']}/cancel/")


def _write_code(berth: Berth, caller: Caller) -> None:
    pk = caller.running()
    berth.inside(caller.workspace(pk), CODE)
    caller.delete_all()


@pytest.mark.parametrize("name", ["worker", "agent", "beat", "redis", "web", "files"])
def test_the_death_of_one_process_costs_no_job(jobs: JobCrew, name: str) -> None:
    with watching(jobs.berth) as jobs.witness:
        with jobs.in_all_stages():
            another_runs = jobs.berth.kill(name)
        another_runs()
        jobs.assert_over()


def test_a_job_whose_container_somebody_removes_runs_again(jobs: JobCrew) -> None:
    jobs.submit("runner", GO, retry_delay_seconds=0)
    jobs.wait("runner", "running")
    jobs.berth.engine.run("rm", "--force", jobs.container("runner"))
    jobs.assert_repeated("runner", "lost")
