"""Whatever is sent, the answer is a problem that names the field, never a 500."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from environments.models import TemplateVersion, Workspace
from tests.api.conftest import Caller, assert_problem

FUZZ = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
GOOD = {"template": "jupyter-python"}


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"template": "unknown"}, "template"),
        ({"template": 5}, "template"),
        ({"template": None}, "template"),
        ({"template": "x" * 10_000}, "template"),
        ({"name": "x" * 10_000}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"name": "\u202eevil"}, "name"),
        ({"name": ["a"]}, "name"),
        ({"size": "vast"}, "size"),
        ({"size": -1}, "size"),
        ({"size": 2**63}, "size"),
        ({"size": ""}, "size"),
        ({"size": True}, "size"),
        ({"team": "risk"}, "team"),
        ({"version": "1900.01"}, "version"),
        ({"env": {"A B": "x"}}, "env"),
        ({"env": {"LD_PRELOAD": "x"}}, "env"),
        ({"env": {"A": 1}}, "env.A"),
        ({"env": {"A": "x" * 5000}}, "env"),
        ({"env": {f"A{n}": "x" for n in range(101)}}, "env"),
        ({"env": {"A": "\x00"}}, "env.A"),
        ({"env": "A=1"}, "env"),
        ({"parameters": {"x": 1}}, "parameters.x"),
        ({"parameters": []}, "parameters"),
        ({"secrets": {}}, "secrets"),
        ({"git": {}}, "git.url"),
        ({"git": {"url": "https://me:pass@example.org/x.git"}}, "git.url"),
        ({"git": {"url": "https://example.org/x.git", "ref": "-x"}}, "git.ref"),
        ({"git": {"url": "https://example.org/x.git", "depth": 1}}, "git.depth"),
        ({"git": "https://example.org/x.git"}, "git"),
        ({"volumes": ["unknown"]}, "volumes"),
        ({"auto_stop_minutes": 3}, "auto_stop_minutes"),
        ({"devices": ["/dev/kvm"]}, "devices"),
        ({"image": "evil:latest"}, "image"),
        ({"owner": "luis"}, "owner"),
    ],
)
def test_a_bad_field_is_named_and_nothing_is_made(
    vera: Caller, catalog: None, values: dict[str, Any], field: str
) -> None:
    assert_problem(vera.post("/workspaces/", GOOD | values), 422, field)
    assert not Workspace.objects.exists()


def test_a_field_that_is_not_there_is_named_beside_what_is_missing(vera: Caller, catalog: None) -> None:
    answer = vera.post("/workspaces/", {"volumes": [], "gti": {}})
    errors = assert_problem(answer, 422, "gti", "template")["errors"]
    assert "no field" in errors["gti"][0]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e309", "-1e309"])
def test_numbers_without_an_end_are_refused(vera: Caller, catalog: None, number: str) -> None:
    TemplateVersion.objects.update(parameters={"type": "object"})
    body = f'{{"template": "jupyter-python", "parameters": {{"rate": [{number}]}}}}'
    assert_problem(vera.post("/workspaces/", body), 422, "parameters.rate")
    assert_problem(vera.post("/workspaces/", f'{{"name": {number}}}'), 422, "name")


def test_large_and_negative_numbers_are_kept_as_they_are(vera: Caller, catalog: None) -> None:
    TemplateVersion.objects.update(parameters={"type": "object"})
    wanted = {"large": 2**63, "larger": 10**400, "negative": -1, "small": 1e-300}
    made = vera.post("/workspaces/", GOOD | {"parameters": wanted}).json()
    assert Workspace.objects.get(pk=made["id"]).parameters == wanted


@pytest.mark.parametrize(
    "body", ["", "{", "nonsense", "'a'", b"\xff\xfe", '{"a":' * 50_000, "[" * 100_000, '{"a": ' + "9" * 5000 + "}"]
)
def test_what_is_no_json_is_malformed(vera: Caller, body: str | bytes) -> None:
    assert vera.post("/workspaces/", body).status_code in (400, 422)
    if body:
        assert_problem(vera.post("/workspaces/", body), 400)


@pytest.mark.parametrize("body", [[], [1], "text", 5, None, True])
def test_a_body_that_is_no_object_is_refused(vera: Caller, body: Any) -> None:
    assert_problem(vera.post("/workspaces/", json.dumps(body)), 422, "body")


def test_other_media_types_and_huge_bodies_are_refused(vera: Caller) -> None:
    headers = {"Authorization": f"Bearer {vera.secret}"}
    form = vera.http.post("/api/v1/workspaces/", {"template": "x"}, headers=headers)
    assert_problem(form, 415)
    assert_problem(vera.post("/workspaces/", '{"name": "' + "x" * 2_000_000 + '"}'), 413)


@pytest.mark.parametrize("method", ["PUT", "OPTIONS", "TRACE", "BREW"])
def test_methods_that_do_nothing_here(vera: Caller, method: str) -> None:
    assert_problem(vera.send(method, "/workspaces/"), 405)


@pytest.mark.parametrize(
    "path",
    ["/nothing/", "/workspaces", "/", "/workspaces/x/", "/workspaces/" + "9" * 26 + "/", "/workspaces/%00/", "/job/"],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_unknown_paths_are_problems_too(vera: Caller, method: str, path: str) -> None:
    assert_problem(vera.send(method, path), 404)


def test_ids_are_found_in_any_case(vera: Caller, make_workspace: Callable[..., Any]) -> None:
    pk = make_workspace().pk
    assert vera.get(f"/workspaces/{pk.lower()}/").json()["id"] == pk
    assert_problem(vera.get(f"/workspaces/{pk[:-1]}{'0' if pk[-1] != '0' else '1'}/"), 404)


def test_get_changes_nothing(vera: Caller, make_workspace: Callable[..., Any]) -> None:
    pk = make_workspace().pk
    for action in ("start", "stop", "restart", "open"):
        assert_problem(vera.get(f"/workspaces/{pk}/{action}/"), 405)


text = st.text(st.characters(codec=None), max_size=80)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(
    ["template", "version", "size", "team", "name", "parameters", "env", "git", "volumes", "\x00", "constructor"]
)
bodies = st.dictionaries(fields | text, values, max_size=5)


@FUZZ
@given(body=bodies, sensible=st.booleans())
def test_no_body_breaks_it(vera: Caller, catalog: None, body: dict[str, Any], sensible: bool) -> None:
    TemplateVersion.objects.update(parameters={"type": "object"})
    response = vera.post("/workspaces/", json.dumps(body | GOOD if sensible else body))
    assert response.status_code in (201, 422), response.content


@FUZZ
@given(content=st.binary(max_size=60) | text.map(lambda t: t.encode(errors="surrogatepass")))
def test_no_bytes_break_it(vera: Caller, catalog: None, content: bytes) -> None:
    response = vera.post("/workspaces/", content)
    assert 400 <= response.status_code < 500


LISTS = ["workspaces", "templates", "sizes", "images", "audit", "nodes"]
parameters = st.dictionaries(
    st.sampled_from(
        ["limit", "cursor", "state", "team", "template", "owner", "actor", "verb", "target", "format", "after", "tail"]
    ),
    st.text(max_size=40) | st.integers().map(str) | st.floats().map(str),
    max_size=4,
)


@pytest.fixture
def ada(people: Any, caller: Callable[..., Caller]) -> Caller:
    return caller(people.ada)


@FUZZ
@given(query=parameters, name=st.sampled_from(LISTS))
def test_no_query_breaks_a_list(ada: Caller, catalog: None, query: dict[str, str], name: str) -> None:
    response = ada.http.get(f"/api/v1/{name}/", query, headers={"Authorization": f"Bearer {ada.secret}"})
    assert response.status_code in (200, 404, 422), response.content


@FUZZ
@given(query=parameters, part=st.sampled_from(["", "timeline/", "logs/", "metrics/"]))
def test_no_query_breaks_a_workspace(
    vera: Caller, make_workspace: Callable[..., Any], query: dict[str, str], part: str
) -> None:
    workspace = Workspace.objects.first() or make_workspace()
    path = f"/api/v1/workspaces/{workspace.pk}/{part}"
    response = vera.http.get(path, query, headers={"Authorization": f"Bearer {vera.secret}"})
    assert response.status_code in (200, 404, 422), response.content


@FUZZ
@given(position=st.text(max_size=30), name=st.sampled_from(LISTS))
def test_no_cursor_breaks_a_list(ada: Caller, catalog: None, position: str, name: str) -> None:
    from base64 import b64encode
    from urllib.parse import urlencode

    cursor = b64encode(urlencode({"p": position}).encode()).decode()
    response = ada.get(f"/{name}/?{urlencode({'cursor': cursor})}")
    assert response.status_code in (200, 422), response.content
