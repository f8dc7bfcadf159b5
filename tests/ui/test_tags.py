"""The component tags, rendered as a page renders them."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django import forms
from django.http import HttpRequest, HttpResponse
from django.template import Context, Template
from django.test import override_settings
from django.urls import path

from portal.lib import clock
from portal.lib.money import Money
from portal.live import topics


def nothing(_: HttpRequest) -> HttpResponse:
    return HttpResponse()


urlpatterns = [path(f"{name}/", nothing, name=name) for name in ("live", "home", "workspaces")]
pytestmark = pytest.mark.urls(__name__)


@pytest.fixture(autouse=True)
def plain_static_files() -> Iterator[None]:
    storage = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    with override_settings(STORAGES={"staticfiles": storage}):
        yield


def render(source: str, **context: Any) -> str:
    return Template("{% load berth %}" + source).render(Context(context))


class Sample(forms.Form):
    name = forms.CharField(label="Name", help_text="Short.")
    team = forms.ChoiceField(label="Team", choices=[("v", "Vision")])
    scopes = forms.MultipleChoiceField(
        label="Scopes", widget=forms.CheckboxSelectMultiple, choices=[("r", "read"), ("w", "write")]
    )


def test_icon_is_hidden_from_screen_readers() -> None:
    html = render('{% icon "home" %}')
    assert 'aria-hidden="true"' in html
    assert "vendor/icons.svg#home" in html


def test_status_is_a_dot_and_a_word() -> None:
    html = render('{% status "failed" %}')
    assert "dot-red" in html
    assert "</span>Failed</span>" in html


def test_status_takes_a_better_word_and_escapes_it() -> None:
    html = render("{% status 'queued' word %}", word="<b>3rd in line</b>")
    assert "&lt;b&gt;3rd in line" in html
    assert "Waiting" not in html


def test_unknown_state_shows_itself_in_grey() -> None:
    html = render('{% status "odd" %}')
    assert "dot-grey" in html
    assert "odd" in html


@pytest.mark.parametrize(("state", "moves"), [("starting", True), ("running", False), ("stopped", False)])
def test_moving(state: str, moves: bool) -> None:
    assert render("{{ state|moving }}", state=state) == str(moves)


def test_ago_carries_the_exact_time() -> None:
    at = clock.now() - timedelta(minutes=12)
    html = render("{% ago at %}", at=at)
    assert f'datetime="{at.isoformat()}"' in html
    assert ">12 min ago</time>" in html


def test_ago_of_nothing_is_never() -> None:
    assert render("{% ago at %}", at=None) == "never"


def test_since_says_how_long() -> None:
    assert ">2 h</time>" in render("{% since at %}", at=clock.now() - timedelta(hours=2))


def test_filters_write_amounts() -> None:
    price = Money(Decimal("0.06"), "EUR")
    source = "{{ price|money }} {{ none|money }} {{ count|bytes }} {{ seconds|duration }} {{ price|plain }}"
    assert render(source, price=price, none=None, count=1.4 * 1024**3, seconds=8.3) == "€ 0.06 — 1.4 GB 8.3 s € 0.06"


def test_field_links_help_and_error_to_the_control() -> None:
    form = Sample({"name": ""})
    html = render("{% field form.name %}", form=form)
    assert 'for="id_name"' in html
    assert 'aria-describedby="id_name_helptext id_name_error"' in html
    assert 'id="id_name_helptext"' in html
    assert 'id="id_name_error"' in html
    assert 'aria-invalid="true"' in html


def test_only_the_first_bad_field_takes_the_focus() -> None:
    form = Sample({"name": "", "team": "unknown"})
    assert "autofocus" in render("{% field form.name %}", form=form)
    assert "autofocus" not in render("{% field form.team %}", form=form)


def test_good_form_takes_no_focus() -> None:
    assert "autofocus" not in render("{% field form.name %}", form=Sample())


def test_choices_stand_in_a_fieldset_with_a_legend() -> None:
    html = render("{% field form.scopes %}", form=Sample())
    assert "<legend" in html
    assert html.count('type="checkbox"') == 2


def test_chart_has_its_numbers_as_a_table() -> None:
    html = render("{% chart 'CPU' points 2 'cores' %}", points=[(clock.now(), 1.2)])
    assert 'role="img"' in html
    assert "<details" in html
    assert "<td>1.2 cores</td>" in html


def test_live_signs_the_topics_for_the_person() -> None:
    request = SimpleNamespace(user=SimpleNamespace(pk=7))
    html = render("{% live names %}", names=["workspace-1"], request=request)
    address = urlsplit(html.removeprefix('data-live="').removesuffix('"'))
    assert address.path == "/live/"
    assert topics.read("7", parse_qs(address.query)["topics"][0]) == ["workspace-1", "announcements", "notices-7"]


@pytest.mark.parametrize(("url_name", "current"), [("workspace-launch", True), ("workspaces", True), ("home", False)])
def test_nav_link_marks_the_section_of_the_page(url_name: str, current: bool) -> None:
    request = SimpleNamespace(resolver_match=SimpleNamespace(url_name=url_name))
    html = render('{% nav_link "workspaces" "device-laptop" "Workspaces" %}', request=request)
    assert ('aria-current="page"' in html) is current
