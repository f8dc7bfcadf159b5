"""Workspaces through the API, from creation to deletion."""

from collections.abc import Callable
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from environments.actions import create
from environments.launch import Launch
from environments.models import Dataset, TemplateVersion, Workspace
from environments.schema import completed
from environments.states import W, state_of
from portal.compute.models import Allocation, Node
from portal.compute.states import Desired, Phase, Reason
from portal.lib import clock
from tests.api.conftest import Caller, assert_problem

FIELDS = {
    "id", "name", "template", "version", "newer_version", "ide", "size", "team", "project", "owner", "state", "stage",
    "reason", "url", "allocation", "cost", "queue", "created_at", "started_at", "last_activity_at", "stops_at",
    "secrets", "auto_stop_minutes", "keep_until", "counted", "git", "parameters", "env", "volumes", "serves_team",
}  # fmt: skip


def _create(caller: Caller, **values: Any) -> dict[str, Any]:
    response = caller.post("/workspaces/", {"template": "jupyter-python"} | values)
    assert response.status_code == 201, response.content
    answer: dict[str, Any] = response.json()
    return answer


def test_a_workspace_lives_from_create_to_delete(vera: Caller, catalog: None, settle: Callable[[], None]) -> None:
    made = _create(vera, name="churn study", size="medium", env={"COLOUR": "blue"})
    path = f"/workspaces/{made['id']}/"
    assert set(made) == FIELDS
    assert (made["state"], made["stage"], made["queue"]) == ("queued", None, {"position": 1, "eta_seconds": None})
    waits = "Needs 2 cores and 4 GB; 64 cores and 256.0 GB are free. Number 1 in line."
    assert made["reason"] == {"code": "waiting", "message": waits, "next": None}
    assert made["cost"] == {
        "per_hour": {"amount": "0.0600", "currency": "EUR"},
        "so_far": {"amount": "0.0000", "currency": "EUR"},
    }
    assert (made["team"], made["owner"], made["ide"]) == ("vision", "vera", "jupyterlab")
    assert made["created_at"].endswith("Z")
    settle()
    running = vera.get(path).json()
    assert (running["state"], running["queue"], running["reason"]) == ("running", None, None)
    assert running["started_at"] is not None
    assert running["url"] == f"http://{made['id'].lower()}.localhost:8000/"
    entry = vera.post(f"{path}open/")
    assert entry.status_code == 200
    assert set(entry.json()) == {"url", "expires_at"}
    assert entry["Cache-Control"] == "no-store"
    stopping = vera.post(f"{path}stop/")
    assert (stopping.status_code, stopping.json()["state"]) == (202, "stopping")
    settle()
    stopped = vera.get(path).json()
    assert (stopped["state"], stopped["reason"]["code"]) == ("stopped", "stopped")
    again = vera.post(f"{path}start/")
    assert (again.status_code, again.json()["state"]) == (202, "queued")
    assert again.json()["allocation"] != made["allocation"]
    settle()
    gone = vera.delete(path)
    assert gone.status_code == 202
    settle()
    assert vera.get(path).json()["state"] == "deleted"
    assert vera.get("/workspaces/").json()["results"] == []
    assert_problem(vera.post(f"{path}start/"), 409)


def test_it_shows_what_it_was_launched_with_and_no_values_of_its_variables(
    vera: Caller, people: Any, catalog: None, caller: Callable[..., Caller]
) -> None:
    Dataset.objects.create(name="numbers", summary="Many numbers", teams=["vision"])
    TemplateVersion.objects.update(parameters=completed({"properties": {"theme": {"type": "string"}}}))
    git = {"url": "https://git.example.org/vision/churn.git", "ref": "main"}
    asked = {"git": git, "parameters": {"theme": "hush"}, "env": {"B": "hush", "A": "1"}, "volumes": ["numbers"]}
    made = _create(vera, **asked)
    assert {name: made[name] for name in asked} == {
        "git": git,
        "parameters": ["theme"],
        "env": ["A", "B"],
        "volumes": ["numbers"],
    }
    seen = caller(people.luis).get(f"/workspaces/{made['id']}/")
    assert (seen.json()["git"], "hush" in seen.content.decode()) == (git, False)
    assert _create(vera)["git"] is None
    assert _create(vera, git={"url": git["url"]})["git"] == {"url": git["url"], "ref": ""}


def test_what_holds_already_is_no_error(vera: Caller, catalog: None, settle: Callable[[], None]) -> None:
    path = f"/workspaces/{_create(vera)['id']}/"
    assert vera.post(f"{path}start/").status_code == 202
    settle()
    assert vera.post(f"{path}start/").json()["state"] == "running"
    for _ in range(2):
        assert vera.post(f"{path}stop/").status_code == 202
    settle()
    assert vera.post(f"{path}stop/").json()["state"] == "stopped"
    assert vera.post(f"{path}restart/").json()["state"] == "queued"
    for _ in range(2):
        assert vera.delete(path).status_code == 202


def test_start_while_it_stops_is_a_conflict(vera: Caller, catalog: None, settle: Callable[[], None]) -> None:
    path = f"/workspaces/{_create(vera)['id']}/"
    settle()
    vera.post(f"{path}stop/")
    assert assert_problem(vera.post(f"{path}start/"), 409)["code"] == "stopping"


def test_open_before_it_runs_is_a_conflict_with_a_next_step(vera: Caller, catalog: None) -> None:
    made = _create(vera)
    problem = assert_problem(vera.post(f"/workspaces/{made['id']}/open/"), 409)
    assert problem["next"]["url"] == f"http://localhost:8000/workspaces/{made['id']}/"


def test_renaming_and_resizing(vera: Caller, catalog: None, settle: Callable[[], None]) -> None:
    path = f"/workspaces/{_create(vera)['id']}/"
    assert vera.patch(path, {"name": "  second  look "}).json()["name"] == "second  look"
    assert_problem(vera.patch(path, {"name": "third", "size": "medium"}), 409)
    assert vera.get(path).json()["name"] == "second  look"
    vera.post(f"{path}stop/")
    settle()
    assert vera.patch(path, {"size": "medium"}).json()["size"] == "medium"
    assert_problem(vera.patch(path, {"size": "vast"}), 422, "size")
    assert_problem(vera.patch(path, {"auto_stop_minutes": 5}), 422, "auto_stop_minutes")
    assert vera.patch(path, {}).status_code == 200


def test_restart_gives_a_fresh_container(vera: Caller, catalog: None, settle: Callable[[], None]) -> None:
    made = _create(vera)
    settle()
    restarted = vera.post(f"/workspaces/{made['id']}/restart/").json()
    assert (restarted["state"], restarted["stage"]) == ("starting", "creating")
    settle()
    assert Allocation.objects.get(pk=made["allocation"]).generation == 2


def test_a_failure_says_why_and_what_next(vera: Caller, catalog: None) -> None:
    made = _create(vera)
    Allocation.objects.update(phase=Phase.ENDED, ended_at=clock.now(), reason=Reason.OOM, message="It used 2 GB.")
    shown = vera.get(f"/workspaces/{made['id']}/").json()
    assert shown["state"] == "failed"
    assert (shown["reason"]["code"], shown["reason"]["message"]) == ("oom", "It used 2 GB.")
    assert shown["reason"]["next"]["label"] == "Try again"


def test_an_engine_that_does_not_answer_is_unreachable(vera: Caller, catalog: None, settle: Callable[[], None]) -> None:
    made = _create(vera)
    settle()
    Allocation.objects.update(unknown_since=clock.now())
    shown = vera.get(f"/workspaces/{made['id']}/").json()
    assert (shown["state"], shown["reason"]["code"]) == ("unreachable", "unreachable")


def test_deleting_the_files(vera: Caller, catalog: None) -> None:
    first, second = _create(vera), _create(vera)
    path = f"/workspaces/{first['id']}/?volumes="
    assert_problem(vera.delete(f"{path}burn"), 422, "volumes")
    assert assert_problem(vera.delete(f"{path}delete"), 409)["code"] == "home_in_use"
    vera.delete(f"/workspaces/{second['id']}/?volumes=keep")
    assert vera.delete(f"{path}delete").status_code == 202
    assert Workspace.objects.get(pk=first["id"]).home.delete_requested_at is not None


def test_the_queue_counts_from_one_in_the_order_of_admission(
    people: Any, vera: Caller, caller: Callable[..., Caller], catalog: None
) -> None:
    ids = [_create(vera)["id"], _create(caller(people.oda))["id"], _create(vera)["id"]]
    rows = {row["id"]: row["queue"] for row in vera.get("/workspaces/").json()["results"]}
    assert {pk: place["position"] for pk, place in rows.items()} == {ids[0]: 1, ids[2]: 3}


def test_timeline_has_seconds_for_every_stage_that_is_over(
    vera: Caller, catalog: None, settle: Callable[[], None]
) -> None:
    made = _create(vera)
    settle()
    steps = vera.get(f"/workspaces/{made['id']}/timeline/").json()["results"]
    assert set(steps[0]) == {"at", "from", "to", "reason", "actor", "message", "seconds"}
    assert (steps[0]["from"], steps[0]["to"], steps[0]["actor"]) == (None, "pending", "vera")
    assert [step["to"] for step in steps[1:]] == [*[step["from"] for step in steps[2:]], "running"]
    assert all(step["seconds"] >= 0 for step in steps[:-1])
    assert steps[-1]["seconds"] is None
    first = vera.get(f"/workspaces/{made['id']}/timeline/?limit=2").json()
    assert first["results"] == steps[:2]
    following = vera.http.get(first["next"], headers={"Authorization": f"Bearer {vera.secret}"}).json()
    assert following["results"] == steps[2:4]


def test_metrics_compare_use_with_what_is_reserved(vera: Caller, catalog: None) -> None:
    made = _create(vera)
    allocation = Allocation.objects.get(pk=made["allocation"])
    for minutes, cpu in ((90, 9.0), (2, 0.25), (1, 0.5)):
        allocation.samples.create(at=clock.now() - timedelta(minutes=minutes), cpu=cpu, memory=1000)
    shown = vera.get(f"/workspaces/{made['id']}/metrics/").json()
    assert (shown["cpu"]["unit"], shown["cpu"]["reserved"]) == ("cores", 1.0)
    assert [point["value"] for point in shown["cpu"]["points"]] == [0.25, 0.5]
    assert shown["memory"]["reserved"] == 2 * 1024**3
    assert shown["gpu"] is None


@pytest.fixture
def many(people: Any, make_workspace: Callable[..., Any]) -> dict[str, Any]:
    """One workspace of vera's in every state there can be, by the state that state_of says."""
    Node.objects.update(unreachable_since=None)
    combinations = product(Phase, Desired, (False, True), (Reason.NONE, Reason.OOM), (False, True))
    made: dict[str, Any] = {}
    for n, (phase, desired, unknown, reason, deleted) in enumerate(combinations):
        workspace = make_workspace(name=f"w{n}")
        ended = phase == Phase.ENDED
        Allocation.objects.filter(pk=workspace.allocation_id).update(
            phase=phase,
            desired=desired,
            unknown_since=clock.now() if unknown and not ended else None,
            reason=reason,
            ended_at=clock.now() if ended else None,
            node=Node.objects.get(),
        )
        Workspace.objects.filter(pk=workspace.pk).update(deleted_at=clock.now() if deleted else None)
        made[workspace.pk] = Workspace.objects.select_related("allocation").get(pk=workspace.pk)
    return made


def test_the_state_filter_agrees_with_the_state_shown(vera: Caller, many: dict[str, Any]) -> None:
    for state in W:
        page = vera.get(f"/workspaces/?state={state}&limit=200").json()["results"]
        expected = {pk for pk, row in many.items() if state_of(row.allocation, row.deleted_at is not None) == state}
        assert {row["id"] for row in page} == expected, state
        assert {row["state"] for row in page} == {state}
    unfiltered = vera.get("/workspaces/?limit=200").json()["results"]
    assert {row["id"] for row in unfiltered} == {pk for pk, row in many.items() if row.deleted_at is None}


def test_owner_all_shows_what_one_may_see(
    people: Any, caller: Callable[..., Caller], make_workspace: Callable[..., Any]
) -> None:
    veras, odas = make_workspace(people.vera), make_workspace(people.oda)
    seen = {
        who: {row["id"] for row in caller(getattr(people, who)).get("/workspaces/?owner=all").json()["results"]}
        for who in ("vera", "luis", "oda", "ada")
    }
    assert seen == {"vera": {veras.pk}, "luis": {veras.pk}, "oda": {odas.pk}, "ada": {veras.pk, odas.pk}}
    assert caller(people.luis).get("/workspaces/?owner=me").json()["results"] == []
    assert caller(people.luis).get("/workspaces/").json()["results"] == []


def test_filters_by_team_and_template(people: Any, vera: Caller, caller: Callable[..., Caller], catalog: None) -> None:
    made = _create(vera)
    for query in ("team=vision", "template=jupyter-python", "team=vision&state=queued"):
        assert [row["id"] for row in vera.get(f"/workspaces/?{query}").json()["results"]] == [made["id"]]
    assert caller(people.ada).get("/workspaces/?team=risk&owner=all").json()["results"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("state=asleep", "state"),
        ("owner=luis", "owner"),
        ("team=risk", "team"),
        ("team=%00", "team"),
        ("template=none", "template"),
        ("template=" + "x" * 10_000, "template"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=-1", "limit"),
        ("limit=1e3", "limit"),
        ("limit=", "limit"),
        ("limit=%D9%A3", "limit"),
        ("limit=" + "9" * 30, "limit"),
        ("cursor=nonsense", "cursor"),
        ("cursor=cD0lMDA=", "cursor"),
    ],
)
def test_unknown_filter_values_are_named(vera: Caller, catalog: None, query: str, field: str) -> None:
    assert_problem(vera.get(f"/workspaces/?{query}"), 422, field)


def test_pages_show_every_row_once(vera: Caller, make_workspace: Callable[..., Any]) -> None:
    ids = [make_workspace().pk for _ in range(5)]
    shown: list[str] = []
    page = vera.get("/workspaces/?limit=2").json()
    assert page["previous"] is None
    while True:
        shown += [row["id"] for row in page["results"]]
        make_workspace()  # what comes in front does not shift what follows
        if page["next"] is None:
            break
        page = vera.http.get(page["next"], headers={"Authorization": f"Bearer {vera.secret}"}).json()
    assert shown == ids[::-1]
    assert page["previous"] is not None


def test_a_list_costs_the_same_queries_for_one_row_and_for_thirty(
    people: Any,
    vera: Caller,
    make_workspace: Callable[..., Any],
) -> None:
    make_workspace()
    vera.get("/workspaces/")
    with CaptureQueriesContext(connection) as one:
        vera.get("/workspaces/")
    for _ in range(29):
        create(people.vera, Launch(template="jupyter-python"), actor="test")
    with CaptureQueriesContext(connection) as thirty:
        rows = vera.get("/workspaces/").json()["results"]
    assert len(rows) == 30
    assert len(thirty) == len(one) <= 11


def test_a_newer_version_is_named_and_taken_while_stopped(
    vera: Caller, make_workspace: Callable[..., Any], settle: Callable[[], None]
) -> None:
    from environments.models import TemplateVersion

    path = f"/workspaces/{make_workspace().pk}/"
    newer = TemplateVersion.objects.get(template="jupyter-python")
    newer.pk, newer.version, newer.published_at = None, "2027.1", clock.now()
    newer.parameters = {"type": "object", "properties": {"depth": {"type": "integer"}}}
    newer.save()
    assert vera.get(path).json()["newer_version"] == "2027.1"
    assert_problem(vera.patch(path, {"version": "2027.1"}), 409)
    vera.post(f"{path}stop/")
    settle()
    assert_problem(vera.patch(path, {"version": "1"}), 422, "version")
    assert_problem(vera.patch(path, {"version": "2027.1", "parameters": {"depth": "x"}}), 422, "parameters.depth")
    changed = vera.patch(path, {"version": "2027.1", "parameters": {"depth": 2}}).json()
    assert (changed["version"], changed["newer_version"]) == ("2027.1", None)
    assert_problem(vera.patch(path, {"parameters": {"depth": "x"}}), 422, "parameters.depth")
