"""Templates, sizes, images, nodes and audit."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from environments.models import Image, Template, TemplateVersion
from portal.audit.models import AuditEvent
from portal.compute.models import Node, Size
from portal.lib import clock
from tests.api.conftest import Caller, assert_problem


def test_templates_say_what_a_team_may_launch(vera: Caller, catalog: None) -> None:
    found = {row["slug"]: row for row in vera.get("/templates/").json()["results"]}
    shown = found["jupyter-python"]
    assert set(shown) == {
        "slug", "name", "summary", "kind", "ide", "versions", "parameters", "sizes", "default_size", "image_state",
        "documentation", "notes",
    }  # fmt: skip
    assert (shown["kind"], shown["ide"], shown["image_state"]) == ("workspace", "jupyterlab", "ready")
    assert (shown["sizes"][0], shown["default_size"]) == ("small", "small")
    assert shown["versions"][0]["version"]
    assert vera.get("/templates/jupyter-python/").json() == shown


def test_templates_of_other_teams_and_retired_ones_do_not_exist(vera: Caller, catalog: None) -> None:
    Template.objects.filter(slug="jupyter-python").update(teams=["risk"])
    assert_problem(vera.get("/templates/jupyter-python/"), 404)
    Template.objects.update(teams=["*"], retired=True)
    assert vera.get("/templates/").json()["results"] == []
    assert_problem(vera.get("/templates/jupyter-python/"), 404)
    assert_problem(vera.get("/templates/no%00ne/"), 404)


def test_an_image_that_failed_is_missing(vera: Caller, catalog: None) -> None:
    for state, said in {"queued": "building", "building": "building", "failed": "missing"}.items():
        Image.objects.update(state=state)
        assert vera.get("/templates/jupyter-python/").json()["image_state"] == said


def test_versions_that_wait_for_a_digest_come_last_and_retired_ones_not_at_all(vera: Caller, catalog: None) -> None:
    lab = TemplateVersion.objects.select_related("image").get(template="jupyter-python")
    waiting = Image.objects.create(name="other", tag="registry.example.org/x:1")
    changed: dict[str, dict[str, Any]] = {"2027.1": {"image": waiting}, "2027.2": {"retired": True}}
    for name, values in changed.items():
        lab.pk, lab.version, lab.published_at = None, name, clock.now()
        TemplateVersion(**{**_columns(lab), **values}).save()
    shown = vera.get("/templates/jupyter-python/").json()
    assert [(v["version"], v["image_state"]) for v in shown["versions"]] == [
        ("2026.11", "ready"),
        ("2027.1", "resolving"),
    ]
    assert shown["image_state"] == "ready"
    TemplateVersion.objects.filter(version="2026.11").update(retired=True)
    assert vera.get("/templates/jupyter-python/").json()["image_state"] == "resolving"
    body = {"template": "jupyter-python"}
    assert "resolved to a digest" in assert_problem(vera.post("/workspaces/", body), 422, "version")["detail"]


def _columns(version: TemplateVersion) -> dict[str, Any]:
    names = [field.name for field in version._meta.fields if field.name != "id"]
    return {name: getattr(version, name) for name in names}


def test_sizes_have_a_price_and_say_whether_they_start_now(vera: Caller, catalog: None) -> None:
    Size.objects.create(slug="vast", cpu=Decimal(999), memory_gib=Decimal(9), position=9)
    Size.objects.create(slug="old", cpu=Decimal(1), memory_gib=Decimal(1), position=10, retired=True)
    sizes = vera.get("/sizes/").json()["results"]
    assert sizes[0] == {
        "slug": "small",
        "cpu": 1.0,
        "memory_gib": 2.0,
        "gpu": None,
        "price_per_hour": {"amount": "0.0300", "currency": "EUR"},
        "availability": {"state": "now", "reason": "Starts now."},
    }
    assert sizes[-1]["slug"] == "vast"
    assert sizes[-1]["availability"]["state"] == "never"
    Node.objects.update(unreachable_since=clock.now())
    assert vera.get("/sizes/").json()["results"][0]["availability"]["state"] == "queue"


def test_images_say_how_far_they_are(vera: Caller, catalog: None) -> None:
    Image.objects.filter(name="jupyter-python").update(state="building", progress=0.4)
    shown = {row["name"]: row for row in vera.get("/images/").json()["results"]}["jupyter-python"]
    assert (shown["state"], shown["progress"], shown["templates"]) == ("building", 0.4, ["jupyter-python", "python"])
    assert shown["message"] == "Building the image, 40%"


def test_images_are_built_and_cancelled_by_administrators(
    people: Any, vera: Caller, caller: Callable[..., Caller], catalog: None
) -> None:
    ada = caller(people.ada)
    assert ada.post("/images/jupyter-python/build/").json()["state"] == "queued"
    cancelled = ada.post("/images/jupyter-python/cancel/").json()
    assert (cancelled["state"], cancelled["message"]) == ("failed", "Cancelled by ada.")
    assert_problem(ada.post("/images/jupyter-python/cancel/"), 409)
    assert_problem(ada.post("/images/nope/build/"), 404)
    for verb in ("build", "cancel"):
        assert_problem(vera.post(f"/images/jupyter-python/{verb}/"), 403)
        assert_problem(caller(people.ada, scopes=("workspaces:write",)).post(f"/images/jupyter-python/{verb}/"), 403)


def test_nodes_show_capacity_use_and_health(
    people: Any,
    caller: Callable[..., Caller],
    make_workspace: Callable[..., Any],
    settle: Callable[[], None],
) -> None:
    make_workspace()
    settle()
    ada = caller(people.ada)
    (node,) = ada.get("/nodes/").json()["results"]
    assert node["cpu"] == {"physical": 64.0, "schedulable": 64.0, "reserved": 1.0}
    assert node["memory"]["reserved"] == 2 * 1024**3
    assert node["allocations"] == 1
    assert node["health"] == {"state": "ready", "since": None, "warning": ""}
    Node.objects.update(unreachable_since=clock.now(), warning="disk is full")
    (node,) = ada.get("/nodes/").json()["results"]
    assert (node["health"]["state"], node["health"]["warning"]) == ("unreachable", "disk is full")


def test_audit_says_who_did_what_to_what(
    people: Any, vera: Caller, caller: Callable[..., Caller], catalog: None
) -> None:
    made = vera.post("/workspaces/", {"template": "jupyter-python", "name": "study"}).json()
    ada = caller(people.ada)
    rows = ada.get(f"/audit/?target=workspace-{made['id']}").json()["results"]
    assert [(row["actor"], row["verb"], row["after"]["name"]) for row in rows] == [
        ("vera", "workspace.create", "study")
    ]
    assert len(ada.get("/audit/?actor=vera&verb=workspace.create").json()["results"]) == 1
    everything = ada.get("/audit/?limit=200").json()["results"]
    assert [row["id"] for row in everything] == list(AuditEvent.objects.order_by("-id").values_list("id", flat=True))
