"""Pages of sweeps and schedules: forms with errors beside their fields, results, who may see and do what."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils.html import escape

from environments.models import Dataset
from jobs import scheduling
from jobs.models import Job
from jobs.plan_forms import space_of, written
from jobs.plan_models import Schedule, Sweep
from jobs.states import J
from jobs.submission import SHELL
from tests.conftest import People
from tests.jobs.data import iris, looked
from tests.jobs.plans import make_schedule, make_sweep, tell

pytestmark = pytest.mark.django_db
SignIn = Callable[[Any], Client]
SWEEP = {
    "template": "python",
    "command": "python train.py --lr {parameters.lr}",
    "name": "lr search",
    "size": "small",
    "kind": "grid",
    "space": "lr = 0.1, 0.01\ndepth = 3, 5, 7",
    "parallelism": "2",
    "metric": "loss",
    "goal": "min",
}
SCHEDULE = {
    "template": "python",
    "command": "python report.py",
    "name": "nightly",
    "cron": "30 6 * * 1-5",
    "time_zone": "Europe/Berlin",
    "overlap": "queue",
    "missed": "run_once",
}


def text(response: Any) -> str:
    return " ".join(response.content.decode().split())


@pytest.mark.parametrize(("path", "teaches"), [("sweeps", "No sweep yet"), ("schedules", "No schedule yet")])
def test_an_empty_list_teaches(people: People, catalog: None, signed_in: SignIn, path: str, teaches: str) -> None:
    page = text(signed_in(people.vera).get(f"/jobs/{path}/"))
    assert teaches in page
    assert f'href="/jobs/{path}/new/"' in page


def test_the_form_submits_a_sweep(people: People, catalog: None, signed_in: SignIn) -> None:
    client = signed_in(people.vera)
    assert '<option value="python" selected>' in text(client.get("/jobs/sweeps/new/"))
    response = client.post("/jobs/sweeps/new/", SWEEP)
    made = Sweep.objects.get()
    assert response.headers["Location"] == f"/jobs/sweeps/{made.pk}/"
    assert (made.name, made.count, made.parallelism, made.metric) == ("lr search", 6, 2, "loss")
    assert made.space == {"lr": [0.1, 0.01], "depth": [3, 5, 7]}
    assert made.jobs.get(point=1).command == [*SHELL, "python train.py --lr {parameters.lr}"]
    page = text(client.get("/jobs/sweeps/"))
    assert "lr search" in page
    assert "0 of 6 ended" in page


def test_the_form_submits_random_points(people: People, catalog: None, signed_in: SignIn) -> None:
    values = {"kind": "random", "space": "lr = 0.0001 … 0.1 log\ndepth = 3 .. 9 integer", "count": "7", "seed": "3"}
    assert signed_in(people.vera).post("/jobs/sweeps/new/", SWEEP | values).status_code == 302
    made = Sweep.objects.get()
    assert made.space == {
        "lr": {"min": 0.0001, "max": 0.1, "log": True},
        "depth": {"min": 3, "max": 9, "integer": True},
    }
    assert (made.count, made.seed) == (7, 3)


def test_what_varies_is_read_by_line() -> None:
    assert space_of("a = 1, 2.5, x, true\n\nb = ../x, ../y") == {"a": [1, 2.5, "x", True], "b": ["../x", "../y"]}
    assert written({"lr": {"min": 0.1, "max": 1, "log": True}, "a": [1, "x"]}) == [("a", "1, x"), ("lr", "0.1 … 1 log")]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"space": ""}, "Name at least one parameter"),
        ({"space": "lr"}, "Line 1: write it as name = value, value."),
        ({"space": "lr = 1\nlr = 2"}, "Line 2: lr is there already."),
        ({"space": "lr = 1 … 2"}, "lr: give a list of 1 to 1,000 values."),
        ({"kind": "random", "count": "", "space": "lr = 1 … 2"}, "A sweep has 1 to 1,000 points"),
        ({"kind": "random", "count": "5", "space": "lr = 2 … 1"}, "lr: min must be less than max."),
        ({"kind": "spiral"}, "spiral is not one of the available choices"),
        ({"parallelism": "0"}, "Run 1 to 1,000 points at once."),
        ({"command": ""}, "Say what it runs, such as “python train.py”."),
        ({"command": "x {parameters.y}"}, "There is no parameter “y” to fill in"),
        ({"size": "huge"}, "Python cannot run as “huge”."),
        ({"name": "x" * 61}, "Use 1 to 60 printable characters"),
    ],
)
def test_bad_input_of_a_sweep_stands_beside_its_field(
    people: People, catalog: None, signed_in: SignIn, values: dict[str, str], sentence: str
) -> None:
    response = signed_in(people.vera).post("/jobs/sweeps/new/", SWEEP | values)
    assert response.status_code == 422
    assert escape(sentence) in text(response)
    assert 'role="alert"' not in text(response)
    assert not Job.objects.exists()


@pytest.fixture
def told(people: People, catalog: None) -> Sweep:
    """A sweep whose first four points told a loss; the second one, in its second attempt, the best."""
    made = make_sweep(people.vera, name="lr search")
    for point, values in {1: (0.9, 0.5), 2: (0.8, 0.7), 3: (0.6, 0.65), 4: (3.0, 2.0)}.items():
        tell(made.jobs.get(point=point), *values)
    tell(made.jobs.get(point=2), 0.25, 0.3)
    return made


def order(page: str) -> list[int]:
    """The points of the table from top to bottom."""
    cells = page.split("<tbody>")[1].split("<tr>")[1:]
    return [int(cell.split("</a>")[0].rsplit(">", 1)[1]) for cell in cells]


def test_results_are_sorted_as_asked(people: People, told: Sweep, signed_in: SignIn) -> None:
    client = signed_in(people.vera)

    def sorted_by(column: str) -> list[int]:
        return order(text(client.get(f"/jobs/sweeps/{told.pk}/?sort={column}")))

    rest = list(range(5, 13))
    assert sorted_by("point") == list(range(1, 13))
    assert sorted_by("-point") == list(range(12, 0, -1))
    assert sorted_by("best") == [2, 1, 3, 4, *rest]
    assert sorted_by("-best") == [4, 3, 1, 2, *rest]
    assert sorted_by("last") == [2, 1, 3, 4, *rest]
    assert sorted_by("parameter.depth")[:3] == [1, 5, 9]
    assert client.get(f"/jobs/sweeps/{told.pk}/?sort=secret").status_code == 404
    assert client.get(f"/jobs/sweeps/{told.pk}/?against=secret").status_code == 404


def test_a_sweep_shows_its_best_and_a_plot(people: People, told: Sweep, signed_in: SignIn) -> None:
    client = signed_in(people.vera)
    page = text(client.get(f"/jobs/sweeps/{told.pk}/?against=lr&sort=best"))
    assert "0.25 at <a" in page
    assert "Point 7 of 12 waits for its turn: 2 run at once" in page
    assert "loss against lr, 4 points: from 0.25 to 2, best 0.25 where lr is 0.1." in page
    assert page.count('class="plot-dot plot-0"') == 4
    assert 'aria-sort="ascending"' in page
    assert "best 0.25 where depth is 5." in text(client.get(f"/jobs/sweeps/{told.pk}/?against=depth"))


def test_the_page_costs_a_fixed_number_of_queries(
    people: People, told: Sweep, signed_in: SignIn, django_assert_max_num_queries: Any
) -> None:
    client = signed_in(people.vera)
    with django_assert_max_num_queries(16):
        client.get(f"/jobs/sweeps/{told.pk}/")
    with django_assert_max_num_queries(12):
        client.get("/jobs/sweeps/")


def test_cancelling_asks_first(people: People, told: Sweep, signed_in: SignIn) -> None:
    client = signed_in(people.vera)
    assert "Cancel lr search?" in text(client.get(f"/jobs/sweeps/{told.pk}/cancel/"))
    assert not Job.objects.exclude(cancelled_by="").exists()
    assert client.post(f"/jobs/sweeps/{told.pk}/cancel/").status_code == 302
    assert set(told.jobs.values_list("state", flat=True)) == {J.CANCELLED}
    assert "Cancel sweep" not in text(client.get(f"/jobs/sweeps/{told.pk}/"))


def test_who_sees_a_sweep(people: People, told: Sweep, bo: Any, signed_in: SignIn) -> None:
    for user, status in ((people.vera, 200), (people.luis, 200), (people.ada, 200), (bo, 403), (people.oda, 404)):
        client = signed_in(user)
        assert client.get(f"/jobs/sweeps/{told.pk}/").status_code == status
        assert client.get(f"/jobs/sweeps/{told.pk}/cancel/").status_code == status
        assert ("lr search" in text(client.get("/jobs/sweeps/"))) == (status == 200)


def test_the_form_makes_and_changes_a_schedule(people: People, catalog: None, signed_in: SignIn) -> None:
    client = signed_in(people.vera)
    response = client.post("/jobs/schedules/new/", SCHEDULE)
    made = Schedule.objects.get()
    assert response.headers["Location"] == f"/jobs/schedules/{made.pk}/"
    assert (made.cron, made.zone, made.overlap, made.missed) == ("30 6 * * 1-5", "Europe/Berlin", "queue", "run_once")
    page = text(client.get(f"/jobs/schedules/{made.pk}/"))
    assert page.count(", 06:30</span>") == 5
    assert "python report.py" in page
    form = text(client.get(f"/jobs/schedules/{made.pk}/edit/"))
    assert 'value="30 6 * * 1-5"' in form
    assert "python report.py" in form
    changed = client.post(f"/jobs/schedules/{made.pk}/edit/", SCHEDULE | {"cron": "0 7 * * *", "name": "morning"})
    assert changed.status_code == 302
    made.refresh_from_db()
    assert (made.cron, made.name) == ("0 7 * * *", "morning")
    assert "morning" in text(client.get("/jobs/schedules/"))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"cron": ""}, "Say when it runs"),
        ({"cron": "0 6"}, "Write five fields"),
        ({"cron": "61 * * * *"}, "There is a bad minute in “61 * * * *”."),
        ({"time_zone": "Mars/Olympus"}, "There is no time zone “Mars/Olympus”."),
        ({"overlap": "perhaps"}, "perhaps is not one of the available choices"),
        ({"command": ""}, "Say what it runs"),
    ],
)
def test_bad_input_of_a_schedule_stands_beside_its_field(
    people: People, catalog: None, signed_in: SignIn, values: dict[str, str], sentence: str
) -> None:
    made = make_schedule(people.vera)
    for path in ("new", f"{made.pk}/edit"):
        response = signed_in(people.vera).post(f"/jobs/schedules/{path}/", SCHEDULE | values)
        assert response.status_code == 422
        assert escape(sentence) in text(response)
        assert 'role="alert"' not in text(response)
    assert Schedule.objects.get().cron == "0 6 * * *"


def test_the_form_makes_and_changes_a_schedule_that_follows_a_dataset(
    people: People, catalog: None, signed_in: SignIn
) -> None:
    client = signed_in(people.vera)
    Dataset.objects.update(retired=True)
    assert 'name="on_change"' not in text(client.get("/jobs/schedules/new/"))
    iris()
    form = text(client.get("/jobs/schedules/new/"))
    assert '<option value="iris">iris</option>' in form
    assert 'name="still_minutes" value="10"' in form
    asked = SCHEDULE | {"cron": "", "on_change": "iris", "still_minutes": "20"}
    assert client.post("/jobs/schedules/new/", asked).status_code == 302
    made = Schedule.objects.get()
    assert (made.cron, made.on_change_id, made.still_minutes, made.next_run_at) == ("", "iris", 20, None)
    page = text(client.get(f"/jobs/schedules/{made.pk}/"))
    assert "Runs when iris changes" in page
    assert "When iris changes, and then stays as it is for 20 minutes" in page
    assert "it has no files yet" in page
    looked("one")
    assert "it is iris:1 now, first seen" in text(client.get(f"/jobs/schedules/{made.pk}/"))
    assert "Runs when iris changes" in text(client.get("/jobs/schedules/"))
    form = text(client.get(f"/jobs/schedules/{made.pk}/edit/"))
    assert '<option value="iris" selected>iris</option>' in form
    assert 'name="still_minutes" value="20"' in form
    assert client.post(f"/jobs/schedules/{made.pk}/edit/", asked | {"cron": "0 7 * * *"}).status_code == 302
    page = text(client.get(f"/jobs/schedules/{made.pk}/"))
    assert "and when iris changes" in page
    assert page.count(", 07:00</span>") == 5
    assert client.post(f"/jobs/schedules/{made.pk}/edit/", SCHEDULE | {"on_change": ""}).status_code == 302
    assert Schedule.objects.get().on_change is None


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"on_change": "secret"}, "secret is not one of the available choices"),
        ({"on_change": "", "cron": ""}, "Say when it runs"),
        ({"still_minutes": "1441"}, "less than or equal to 1440"),
    ],
)
def test_bad_input_about_a_dataset_stands_beside_its_field(
    people: People, catalog: None, signed_in: SignIn, values: dict[str, str], sentence: str
) -> None:
    iris()
    asked = SCHEDULE | {"cron": "", "on_change": "iris", "still_minutes": "10"}
    response = signed_in(people.vera).post("/jobs/schedules/new/", asked | values)
    assert response.status_code == 422
    assert sentence in text(response)
    assert 'role="alert"' not in text(response)
    assert not Schedule.objects.exists()


def test_who_has_lost_the_dataset_is_told_beside_the_field(people: People, catalog: None, signed_in: SignIn) -> None:
    iris()
    client = signed_in(people.vera)
    made = make_schedule(people.vera, cron="", on_change="iris")
    Dataset.objects.update(teams=[])
    assert "iris, no longer offered" in text(client.get(f"/jobs/schedules/{made.pk}/edit/"))
    asked = SCHEDULE | {"cron": "", "on_change": "iris", "still_minutes": "10"}
    response = client.post(f"/jobs/schedules/{made.pk}/edit/", asked)
    assert response.status_code == 422
    assert "There is no dataset “iris” for your teams." in text(response)


def test_pause_resume_and_delete(people: People, catalog: None, signed_in: SignIn) -> None:
    made, client = make_schedule(people.vera), signed_in(people.vera)
    client.post(f"/jobs/schedules/{made.pk}/pause/")
    page = text(client.get(f"/jobs/schedules/{made.pk}/"))
    assert "Paused" in page
    assert "None while it is paused." in page
    client.post(f"/jobs/schedules/{made.pk}/resume/")
    made.refresh_from_db()
    assert not made.paused
    assert "Delete nightly?" in text(client.get(f"/jobs/schedules/{made.pk}/delete/"))
    assert client.post(f"/jobs/schedules/{made.pk}/delete/").headers["Location"] == "/jobs/schedules/"
    assert not Schedule.objects.exists()


def test_a_schedule_that_cannot_be_resumed_says_why(people: People, catalog: None, signed_in: SignIn) -> None:
    from environments.models import Template

    made, client = make_schedule(people.vera), signed_in(people.vera)
    scheduling.pause(made, actor="vera")
    Template.objects.filter(slug="python").update(retired=True)
    page = text(client.post(f"/jobs/schedules/{made.pk}/resume/", follow=True))
    assert "There is no template “python” for your teams." in page
    assert Schedule.objects.get().paused


def test_who_may_do_what_with_a_schedule(people: People, catalog: None, bo: Any, signed_in: SignIn) -> None:
    made = make_schedule(people.vera)
    at = f"/jobs/schedules/{made.pk}/"
    expected = {
        people.luis: (200, 403, 302),
        people.ada: (200, 403, 302),
        bo: (403, 403, 403),
        people.oda: (404, 404, 404),
    }
    for user, (seen, changed, paused) in expected.items():
        client = signed_in(user)
        assert client.get(at).status_code == seen
        assert client.get(f"{at}edit/").status_code == changed
        assert client.post(f"{at}resume/").status_code == changed
        assert client.post(f"{at}pause/").status_code == paused
        assert client.get(f"{at}delete/").status_code == (200 if paused == 302 else paused)


def test_values_are_never_markup(people: People, catalog: None, signed_in: SignIn) -> None:
    name = "<b>bold</b>"
    made = make_sweep(people.vera, space={"lr": ["<i>x</i>", "y"]}, name=name, metric="<u>m</u>")
    for job in made.jobs.all():
        tell(job, 1.0, name="<u>m</u>")
    other = make_schedule(people.vera, name=name)
    client = signed_in(people.vera)
    for path in (f"sweeps/{made.pk}/", "sweeps/", f"schedules/{other.pk}/", "schedules/", f"sweeps/{made.pk}/cancel/"):
        page = client.get(f"/jobs/{path}").content.decode()
        assert "&lt;b&gt;bold" in page
        assert all(markup not in page for markup in ("<b>bold", "<i>x", "<u>m"))
