"""Jobs in images that they name: what is allowed, what runs, what a tag meant, and what is repeated."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from environments import image_cleaning, images
from environments.models import Image, ImageCopy, TemplateVersion
from environments.states import ImageState
from jobs import actions, job_file
from jobs.again import submission_of
from jobs.models import Job
from jobs.states import J
from portal.accounts import secret_actions
from portal.audit.models import AuditEvent
from portal.compute.agent.guarding import _an_image
from portal.compute.models import Allocation
from portal.compute.specs import container_name
from portal.lib import clock
from portal.lib.errors import Invalid
from tests.conftest import People
from tests.jobs.named import PATTERNS, PYTHON, TRAIN, Registry, allow, digest
from tests.jobs.plans import make_schedule, make_sweep
from tests.jobs.test_submit_form import untouched, without_script

pytestmark = pytest.mark.django_db
Submit = Callable[..., Job]
Tick = Callable[..., None]


@pytest.fixture
def registry(fake_engine: Any, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Registry:
    made = Registry(settings.INSTANCE, fake_engine)
    made.tags, made.pulled = {TRAIN: "1", PYTHON: "3"}, []
    for module in (images, image_cleaning):
        monkeypatch.setattr(module, "runtime", lambda: made)
    return made


@pytest.fixture
def allowed(catalog: None) -> None:
    allow(PATTERNS, ["vision"])


@pytest.fixture
def name(allowed: None, submit: Submit) -> Submit:
    """Submit a job that names an image."""

    def make(image: str = TRAIN, **values: Any) -> Job:
        return submit(**({"template": None, "image": image} | values))

    return make


@pytest.fixture
def work(tick: Tick, registry: Registry) -> Tick:
    """As `tick`, with what brings images here."""

    def run() -> None:
        for _ in range(3):
            tick(1)
            for image in Image.objects.filter(state=ImageState.QUEUED):
                images.fetch(image.pk)
        tick(1)

    return run


def container_of(job: Job, fake_engine: Any) -> Any:
    return fake_engine.containers[container_name(Allocation.objects.get(attempt__job=job, attempt__counted=None))]


def named(job: Job) -> str:
    return Job.objects.select_related("version__image").get(pk=job.pk).version.image.named


def test_it_runs_its_command_by_itself_in_the_image_it_names(name: Submit, work: Tick, fake_engine: Any) -> None:
    job = name(env={"LR": "1"}, parameters={"lr": 2}, command=["train", "--lr={parameters.lr}"])
    assert (named(job), job.version.template.name, job.size_id) == (TRAIN, "Images of the vision team", "small")
    work()
    job.refresh_from_db()
    assert job.state == J.RUNNING
    spec = container_of(job, fake_engine).spec
    assert spec.image == Image.objects.get(named=f"{TRAIN}@{digest('1')}").digest
    assert spec.command == ("train", "--lr=2")
    assert spec.folders == ("/home/berth/code", "/home/berth/outputs", "/home/berth/checkpoints")
    told = {"HOME": "/home/berth", "USER": "berth", "LR": "1", "BERTH_OUTPUTS": "/home/berth/outputs"}
    assert spec.environment.items() >= told.items()
    assert {mount.target for mount in spec.mounts} >= {"/home/berth", "/data/home"}


@pytest.mark.parametrize("asked", [{"git_url": "https://git.example.org/x.git"}, {"secrets": ["KEY"]}])
def test_a_shell_is_needed_only_to_fetch_something(
    name: Submit, work: Tick, fake_engine: Any, people: People, asked: dict[str, Any]
) -> None:
    secret_actions.add(people.vera, secret_actions.NewSecret(name="KEY", value="value", variable=True), actor="vera")
    job = name(**asked)
    work()
    found = container_of(job, fake_engine)
    assert found.spec.command == ("sh", "-c", '. "$BERTH_FILES/job"', "job", "python", "train.py")
    assert found.spec.folders[0] == "/home/berth"
    assert found.files["/run/berth/job"].endswith(b'exec "$@"\n')


def test_many_jobs_pull_an_image_once_and_record_what_its_tag_meant(
    name: Submit, work: Tick, registry: Registry
) -> None:
    jobs = [name() for _ in range(3)]
    work()
    assert registry.pulled == [f"registry.example.org/vision/train@{digest('1')}"]
    assert {named(job) for job in jobs} == {f"{TRAIN}@{digest('1')}"}
    [event] = AuditEvent.objects.filter(target=jobs[0].topic, verb="job.image")
    assert (event.before, event.after) == ({"image": TRAIN}, {"image": f"{TRAIN}@{digest('1')}"})


def test_a_tag_is_taken_anew_by_who_names_it_and_not_by_who_runs_again(
    name: Submit, work: Tick, registry: Registry, people: People
) -> None:
    first = name()
    work()
    registry.tags[TRAIN] = "2"
    later, again = name(), actions.rerun(Job.objects.get(pk=first.pk), people.vera, actor="vera")
    work()
    assert named(later) == f"{TRAIN}@{digest('2')}"
    assert named(again) == named(first) == f"{TRAIN}@{digest('1')}"
    assert len(registry.pulled) == 2
    assert f"image: {TRAIN}@{digest('1')}" in job_file.dump(submission_of(Job.objects.get(pk=first.pk))).splitlines()


def test_a_retry_runs_the_same_image(name: Submit, work: Tick, registry: Registry, fake_engine: Any) -> None:
    job = name(retries=1, retry_delay_seconds=0)
    work()
    registry.tags[TRAIN] = "2"
    fake_engine.end(container_name(Allocation.objects.get(attempt__job=job)), 1)
    with clock.shifted(timedelta(minutes=1)):
        work()
        assert container_of(job, fake_engine).spec.image == Image.objects.get(named=named(job)).digest
    assert (job.attempts.count(), named(job)) == (2, f"{TRAIN}@{digest('1')}")


def test_an_image_that_is_not_there_fails_the_job_and_says_so(name: Submit, work: Tick, registry: Registry) -> None:
    missing = "registry.example.org/vision/train:gone"
    job = name(missing)
    work()
    job.refresh_from_db()
    assert (job.state, job.reason) == (J.FAILED, "image_error")
    reason = f"manifest for {missing} not found: manifest unknown"
    assert job.message == f"Image {missing} could not be pulled: {reason}"
    registry.tags[missing] = "4"
    with clock.shifted(timedelta(seconds=1)):
        later = name(missing)
        work()
    assert named(later) == f"{missing}@{digest('4')}"


@pytest.mark.parametrize(
    ("asked", "field", "says"),
    [
        ({"template": "python"}, "image", "a template or in an image: name one"),
        ({"image": None}, "template", "or in which image"),
        ({"version": "1"}, "version", "in its own name, as tag or digest"),
        ({"image": ""}, "image", "Name the image"),
        ({"image": "train"}, "image", "write it with a tag or digest, as registry.example.org/team/train:2026-11"),
        ({"image": "registry.example.org/vision/../risk/x:1"}, "image", "names no image"),
        ({"image": "a\0b:1"}, "image", "a character that text cannot have"),
        ({"image": "evil.example.org/x:1"}, "image", "may not run evil.example.org/x:1"),
        ({"image": "evil.example.org/x:1"}, "image", f"They may run what fits {', '.join(PATTERNS)}; ask an admin"),
        ({"size": "vast"}, "size", "Images of the vision team cannot run as “vast”"),
    ],
)
def test_what_cannot_run_is_refused_by_its_field(name: Submit, asked: dict[str, Any], field: str, says: str) -> None:
    with pytest.raises(Invalid) as refused:
        name(**asked)
    assert list(refused.value.fields) == [field]
    assert says in refused.value.fields[field][0]
    assert not Job.objects.exists()
    assert not TemplateVersion.objects.filter(template="vision-images").exists()


def test_what_is_allowed_to_one_team_is_not_to_another(name: Submit, people: People) -> None:
    with pytest.raises(Invalid, match="Jobs of Risk may not name images of their own"):
        name(owner=people.oda)
    allow([*PATTERNS, "registry.example.org/common/**"], ["*"])
    assert name("registry.example.org/common/a/b:1", owner=people.oda).team.slug == "risk"


def test_a_digest_passes_beside_a_tag_only_where_the_tag_has_meant_it(
    name: Submit, work: Tick, registry: Registry
) -> None:
    for other in (f"{PYTHON}@{digest('9')}", f"docker.io/library/python@{digest('3')}"):
        with pytest.raises(Invalid, match="may not run"):
            name(other)
    first = name("python:3.12-slim")
    work()
    assert name(named(first)).version_id == Job.objects.get(pk=first.pk).version_id
    assert name(f"registry.example.org/vision/train@{digest('9')}").version.image.tag == ""


def test_what_is_no_longer_allowed_is_not_run_again(name: Submit, work: Tick, people: People) -> None:
    job = name()
    work()
    allow([], [])
    with pytest.raises(Invalid, match="may not name images of their own"):
        actions.rerun(Job.objects.get(pk=job.pk), people.vera, actor="vera")


def test_all_points_of_a_sweep_run_one_image(name: Submit, work: Tick, people: People, registry: Registry) -> None:
    sweep = make_sweep(people.vera, {"template": None, "image": TRAIN})
    work()
    registry.tags[TRAIN] = "2"
    name()
    work()
    points = Job.objects.filter(sweep=sweep)
    assert {job.version.image.named for job in points} == {f"{TRAIN}@{digest('1')}"}
    assert (points.count(), points.filter(state=J.RUNNING).count(), len(registry.pulled)) == (12, 2, 2)


def test_a_schedule_takes_the_tag_anew_each_time(allowed: None, work: Tick, people: People, registry: Registry) -> None:
    schedule = make_schedule(people.vera, {"template": None, "image": TRAIN}, overlap="replace")
    for sign in "12":
        registry.tags[TRAIN] = sign
        schedule.refresh_from_db()
        assert schedule.next_run_at is not None
        with clock.shifted(schedule.next_run_at - clock.now() + timedelta(seconds=1)):
            work()
    assert schedule.submission["image"] == TRAIN
    assert {named(job)[-1] for job in Job.objects.filter(schedule=schedule)} == {"1", "2"}


def test_what_was_cleaned_up_comes_back_for_who_runs_it_again(
    name: Submit, work: Tick, registry: Registry, fake_engine: Any, people: People
) -> None:
    job = name()
    work()
    assert not ImageCopy.objects.filter(pk__in=[copy.pk for copy in image_cleaning.unused()]).exists()
    fake_engine.end(container_name(Allocation.objects.get(attempt__job=job)), 0)
    work()
    fake_engine.containers.clear()
    assert [copy.reference for copy in image_cleaning.request(actor="ada")] == registry.pulled
    image_cleaning.clean()
    assert set(Image.objects.exclude(named="").values_list("state", flat=True)) == {ImageState.REMOVED}
    again = actions.rerun(Job.objects.get(pk=job.pk), people.vera, actor="vera")
    work()
    again.refresh_from_db()
    assert (again.state, len(registry.pulled)) == (J.RUNNING, 2)


def test_the_pages_of_images_show_to_administrators_what_jobs_named(
    name: Submit, work: Tick, people: People, signed_in: Callable[[Any], Client]
) -> None:
    job = name()
    waiting = Image.objects.get(named=TRAIN)
    assert TRAIN in signed_in(people.ada).get("/images/").content.decode()
    work()
    page = signed_in(people.ada).get("/images/").content.decode()
    assert named(job) in page
    for user in (people.vera, people.oda):
        client = signed_in(user)
        assert TRAIN not in client.get("/images/").content.decode()
        assert client.get(f"/images/{waiting.pk}/").status_code == 404


def test_whether_the_isolation_holds_is_asked_of_images_of_ours(name: Submit, work: Tick, submit: Submit) -> None:
    name()
    work()
    assert _an_image() is None
    submit()
    work()
    assert _an_image() == "sha256:" + "a" * 64


def test_the_page_of_a_job_names_its_image_and_running_it_again_says_which(
    name: Submit, work: Tick, people: People, signed_in: Callable[[Any], Client]
) -> None:
    job = name()
    work()
    client = signed_in(people.vera)
    assert f"{TRAIN}@{digest('1')}" in client.get(f"/jobs/{job.pk}/").content.decode()
    actions.cancel(job, actor="vera")
    work()
    page = client.post(f"/jobs/{job.pk}/rerun/", follow=True).content.decode()
    assert f"It runs the image that {TRAIN} meant before" in page
    assert signed_in(people.luis).get(f"/jobs/{job.pk}/").status_code == 200
    assert signed_in(people.oda).get(f"/jobs/{job.pk}/").status_code == 404


LAUNCH = "/jobs/new/"


def test_the_form_offers_an_image_where_some_are_allowed(
    catalog: None, people: People, signed_in: Callable[[Any], Client]
) -> None:
    assert "An image, by its name" not in signed_in(people.vera).get(LAUNCH).content.decode()
    allow(PATTERNS, ["vision"])
    page = signed_in(people.vera).get(LAUNCH).content.decode()
    assert "An image, by its name" in page and 'name="image"' in page and PATTERNS[1] in page
    assert "An image, by its name" not in signed_in(people.oda).get(LAUNCH).content.decode()


def test_an_image_is_named_in_the_form(allowed: None, people: People, signed_in: Callable[[Any], Client]) -> None:
    client = signed_in(people.vera)
    answer = client.post(LAUNCH, {"template": "image:", "image": TRAIN, "command": "train", "size": "medium"})
    assert answer.status_code == 302
    job = Job.objects.get()
    assert (named(job), job.size_id, job.command) == (TRAIN, "medium", ["sh", "-ec", "train"])
    page = client.get(f"{LAUNCH}?job={job.pk}").content.decode()
    assert '<option value="image:" selected>' in page and f'value="{TRAIN}"' in page
    client.post(f"{LAUNCH}?job={job.pk}", {"template": "python", "image": TRAIN, "command": "train"})
    again = Job.objects.latest("id")
    assert (again.version.template_id, again.command) == ("python", ["bash", "-eo", "pipefail", "-c", "train"])


@pytest.mark.parametrize("image", ["", "train", "evil.example.org/x:1"])
def test_what_the_form_refuses_stands_beside_the_image(
    allowed: None, people: People, signed_in: Callable[[Any], Client], image: str
) -> None:
    client = signed_in(people.vera)
    answer = client.post(LAUNCH, {"template": "image:", "image": image, "command": "train"})
    assert (answer.status_code, set(answer.context["form"].errors)) == (422, {"image"})
    assert not Job.objects.exists()


def test_the_review_shows_the_image_and_makes_nothing(
    allowed: None, people: People, signed_in: Callable[[Any], Client]
) -> None:
    asked = {"template": "image:", "image": "python:3.12-slim", "command": "python -V"}
    page = signed_in(people.vera).post(f"{LAUNCH}review/", asked).content.decode()
    assert PYTHON in page and "image: python:3.12-slim" in page
    assert not Image.objects.exclude(named="").exists()


def test_saving_an_untouched_schedule_keeps_its_image(
    allowed: None, people: People, signed_in: Callable[[Any], Client]
) -> None:
    made = make_schedule(people.vera, {"template": None, "image": TRAIN}, paused=True)
    client, at = signed_in(people.vera), f"/jobs/schedules/{made.pk}/edit/"
    assert client.post(at, without_script(untouched(client, at))).status_code == 302
    made.refresh_from_db()
    assert (made.submission["image"], made.submission["template"]) == (TRAIN, None)
