"""Forms of jobs: what nobody touched stays as it was, field by field, whatever a form can show of it."""

from collections.abc import Callable
from dataclasses import asdict, replace
from html.parser import HTMLParser
from typing import Any

import pytest
from django.http import QueryDict
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs import scheduling, submit_page
from jobs.form_lines import parameters_of, parameters_text, rules_of, rules_text
from jobs.models import Job
from jobs.submission import SHELL, Submission
from jobs.submit_form import SubmitForm
from tests.conftest import People
from tests.jobs.plans import make_schedule

pytestmark = pytest.mark.django_db
FORMS = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
RULES = [
    {"log_contains": ' "no such; column" ', "then": "fail"},
    {"exit_codes": [75, 1], "reason": "failed", "log_contains": "a\nb", "then": "retry"},
    {"reason": "oom", "then": "larger"},
]
ALL: dict[str, Any] = {
    "command": ["python", "train.py", "--lr={parameters.lr}"],
    "parameters": {"lr": "1", "amp": True, "big": 1e22, "word": 'say "hi"', "lines": " a\nb", "no": "true"},
    "env": {"TEXT": "one\ntwo", "EMPTY": ""},
    "version": "2026.11",
    "max_duration_seconds": 90,
    "grace_seconds": 7,
    "retries": 3,
    "retry_delay_seconds": 33,
    "retry_rules": RULES,
    "outputs": ["model", "plots"],
    "priority": "low",
}


class Fields(HTMLParser):
    """What a browser sends when nobody touches the form."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.sent = QueryDict(mutable=True)
        self.select, self.options, self.area = "", list[tuple[str, bool]](), ""
        self.inside = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        of = dict(attrs)
        self.inside = self.inside or (tag == "form" and "launch" in (of.get("class") or ""))
        name = of.get("name") if self.inside and "disabled" not in of else None
        match tag:
            case "input" if name and (of.get("type") not in ("checkbox", "radio", "file") or "checked" in of):
                self.sent.appendlist(name, of.get("value") or "")
            case "select":
                self.select, self.options = name or "", []
            case "option":
                self.options.append((of.get("value") or "", "selected" in of))
            case "textarea":
                self.area, self.text = name or "", ""

    def handle_data(self, data: str) -> None:
        if self.area:
            self.text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.inside = False
        if tag == "select" and self.select:
            chosen = [value for value, selected in self.options if selected] or [self.options[0][0]]
            self.sent.appendlist(self.select, chosen[0])
        if tag == "textarea" and self.area:
            self.sent.appendlist(self.area, self.text.removeprefix("\n").replace("\n", "\r\n"))
            self.area = ""


def untouched(client: Client, path: str) -> dict[str, list[str]]:
    return dict(Fields(client.get(path).content.decode()).sent.lists())


def without_script(values: dict[str, list[str]]) -> dict[str, list[str]]:
    return {name: value for name, value in values.items() if name != "csrfmiddlewaretoken"}


@pytest.mark.parametrize("values", [{}, ALL, {"template": None, "like": True}, {"like": True, "folder": "src"}])
def test_saving_an_untouched_schedule_changes_nothing(
    people: People, make_workspace: Callable[..., Any], signed_in: Any, values: dict[str, Any]
) -> None:
    values = dict(values)
    if values.pop("like", False):
        values["workspace"] = make_workspace().pk
    made = make_schedule(people.vera, values, name="each night", overlap="queue", paused=True)
    made.refresh_from_db()
    client, at = signed_in(people.vera), f"/jobs/schedules/{made.pk}/edit/"
    before = asdict(scheduling.asked_of(made))
    response = client.post(at, without_script(untouched(client, at)))
    assert response.status_code == 302, response.content.decode()
    made.refresh_from_db()
    assert asdict(scheduling.asked_of(made)) == before


def test_changing_one_field_changes_no_other(people: People, catalog: None, signed_in: Any) -> None:
    made = make_schedule(people.vera, ALL)
    made.refresh_from_db()
    client, at = signed_in(people.vera), f"/jobs/schedules/{made.pk}/edit/"
    posted = without_script(untouched(client, at))
    text = posted["parameters"][0].replace("amp=true", "amp=false")
    before = scheduling.asked_of(made)
    client.post(at, posted | {"retries": ["4"], "parameters": [text]})
    made.refresh_from_db()
    job = replace(before.job, retries=4, parameters=ALL["parameters"] | {"amp": False})
    assert scheduling.asked_of(made) == replace(before, job=job)


def test_change_and_run_keeps_all_that_it_does_not_show(
    people: People, submit: Callable[..., Job], signed_in: Any
) -> None:
    job, client = submit(**ALL), signed_in(people.vera)
    path = f"/jobs/new/?job={job.pk}"
    assert client.post(path, without_script(untouched(client, path))).status_code == 302
    again = Job.objects.exclude(pk=job.pk).get()
    for name in ("command", "parameters", "environment", *(ALL.keys() - {"command", "parameters", "env", "version"})):
        assert getattr(again, name) == getattr(job, name), name
    assert again.version == job.version


def test_change_and_run_has_the_same_code_until_another_is_named(
    people: People, submit: Callable[..., Job], signed_in: Any
) -> None:
    job, client = submit(folder="churn"), signed_in(people.vera)
    path = f"/jobs/new/?job={job.pk}"
    posted = without_script(untouched(client, path))
    client.post(path, posted)
    assert Job.objects.latest("id").snapshot == job.snapshot
    both = client.post(path, posted | {"folder": ["src"]})
    assert "The code is that of another job, or it is named here, not both." in both.content.decode()
    client.post(path, posted | {"folder": ["src"], "code_of": [""]})
    other = Job.objects.latest("id")
    assert (other.folder, other.snapshot == job.snapshot) == ("src", False)


def test_what_is_no_longer_offered_is_not_replaced_in_silence(people: People, catalog: None, signed_in: Any) -> None:
    from environments.models import Template

    made = make_schedule(people.vera)
    Template.objects.filter(slug="python").update(retired=True)
    client, at = signed_in(people.vera), f"/jobs/schedules/{made.pk}/edit/"
    response = client.post(at, without_script(untouched(client, at)))
    assert response.status_code == 422
    assert "There is no template “python” for your teams." in response.content.decode()


def test_another_environment_has_a_version_of_its_own(people: People, submit: Callable[..., Job]) -> None:
    base = Submission(command=["x"], template="python", version="2026.11")
    arguments = submit_page.choices(people.vera, base)
    shown = SubmitForm(**arguments).initial
    posted = {name: value for name, value in shown.items() if value is not None} | {"template": "jupyter-python"}
    assert SubmitForm(posted, **arguments).asked == replace(base, template="jupyter-python", version=None)


storable = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
path = storable.filter(str.isprintable)
word = st.from_regex(r"\A[a-z][a-z0-9_]{0,8}\Z")
scalars = st.booleans() | st.integers() | storable | st.floats(allow_nan=False, allow_infinity=False)
rules = st.builds(
    lambda named, then: {name: value for name, value in named.items() if value} | {"then": then},
    st.fixed_dictionaries(
        {"log_contains": storable.filter(bool)},
        optional={
            "exit_codes": st.lists(st.integers(0, 255), min_size=1),
            "reason": st.sampled_from(["oom", "failed"]),
        },
    ),
    st.sampled_from(["retry", "larger", "fail"]),
)
submissions = st.builds(
    Submission,
    command=st.lists(storable, max_size=3) | storable.map(lambda text: [*SHELL, text]),
    template=st.sampled_from(["python", "jupyter-python", "gone"]),
    version=st.none() | word,
    size=st.sampled_from([None, "small", "large", "gone"]),
    team=st.sampled_from([None, "vision", "risk"]),
    name=storable,
    parameters=st.dictionaries(word, scalars, max_size=4),
    env=st.dictionaries(word, storable, max_size=3),
    secrets=st.lists(word, max_size=2, unique=True),
    git_url=word,
    git_ref=word,
    workspace=st.none() | word,
    folder=path,
    inputs=st.lists(word, max_size=2, unique=True),
    outputs=st.lists(path, max_size=3),
    max_duration_seconds=st.none() | st.integers(1, 10_000),
    grace_seconds=st.integers(0, 600),
    retries=st.integers(0, 10),
    retry_delay_seconds=st.integers(0, 600),
    retry_rules=st.lists(rules, max_size=3),
    priority=st.sampled_from(["low", "normal", "high"]),
    after=st.lists(word, max_size=2, unique=True),
    after_condition=st.sampled_from(["all_succeeded", "all_ended"]),
    code_of=st.none() | word,
)


@FORMS
@given(base=submissions)
def test_an_untouched_form_asks_for_what_it_began_with(people: People, catalog: None, base: Submission) -> None:
    arguments = submit_page.choices(people.vera, base)
    form = SubmitForm(**arguments)
    shown = "".join(str(form[name]) for name in form.fields)
    sent = Fields(f'<form class="launch">{shown}</form>').sent
    again = SubmitForm(sent, **arguments)
    assert asdict(again.asked) == asdict(base)
    assert again.is_valid(), again.errors


@given(given=st.dictionaries(word, scalars, max_size=4), rules=st.lists(rules, max_size=3))
def test_what_is_written_on_lines_reads_back_as_the_same(given: dict[str, Any], rules: list[dict[str, Any]]) -> None:
    assert parameters_of(parameters_text(given)) == given
    assert rules_of(rules_text(rules)) == rules


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"retry_rules": "retry exit 1"}, "Line 1: write it as “retry: exit 75”, or “fail: log no such column”."),
        ({"retry_rules": "retry: exit 75\nfail:"}, "Line 2: write it as"),
        ({"retry_rules": "retry: exit 256"}, "Rule 1: exit_codes is a list of numbers from 0 to 255."),
        ({"retry_rules": "retry: reason lost"}, "Rule 1: reason is one of"),
        ({"retry_delay_seconds": "601"}, "less than or equal to 600"),
        ({"grace_seconds": "-1"}, "greater than or equal to 0"),
        ({"version": "1900.01"}, "Python has no version “1900.01”."),
    ],
)
def test_bad_details_are_named_beside_their_fields_and_unfolded(
    people: People, catalog: None, signed_in: Any, values: dict[str, str], sentence: str
) -> None:
    response = signed_in(people.vera).post("/jobs/new/", {"template": "python", "command": "true"} | values)
    page = " ".join(response.content.decode().split())
    assert response.status_code == 422
    assert sentence in page
    assert page.count('<details class="card fold" open>') == 1
    assert not Job.objects.exists()


def test_a_job_may_wait_for_those_that_are_under_way(
    people: People, submit: Callable[..., Job], signed_in: Any
) -> None:
    first, client = submit(name="prepare"), signed_in(people.vera)
    assert "prepare, queued" in client.get("/jobs/new/").content.decode()
    posted = {"template": "python", "command": "true", "after": first.pk, "after_condition": "all_ended"}
    client.post("/jobs/new/", posted)
    job = Job.objects.exclude(pk=first.pk).get()
    assert (list(job.after.all()), job.after_condition) == ([first], "all_ended")
