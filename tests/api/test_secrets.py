"""Secrets through the API: what is in them goes in and never comes out."""

from collections.abc import Callable
from typing import Any

import pytest

from portal.accounts import vault
from portal.accounts.models import Secret
from portal.api.models import IdempotencyKey
from tests.api.conftest import Caller, assert_problem

VALUE = "hunter2-hunter2"
NEW = {"name": "HF_TOKEN", "value": VALUE, "variable": True}
FIELDS = {
    "id", "name", "kind", "variable", "team", "created_at", "changed_at", "changed_by", "used_by", "may_change",
}  # fmt: skip


def test_a_secret_lives_from_add_to_delete(vera: Caller, catalog: None) -> None:
    made = vera.post("/secrets/", NEW)
    assert made.status_code == 201
    secret = made.json()
    assert set(secret) == FIELDS
    assert (secret["name"], secret["kind"], secret["variable"], secret["team"]) == ("HF_TOKEN", "value", True, None)
    assert (secret["changed_by"], secret["used_by"], secret["may_change"]) == ("vera", [], True)
    workspace = vera.post("/workspaces/", {"template": "jupyter-python", "secrets": ["HF_TOKEN"]}).json()
    assert workspace["secrets"] == ["HF_TOKEN"]
    listed = vera.get("/secrets/").json()["results"]
    assert [one["used_by"] for one in listed] == [[{"id": workspace["id"], "name": workspace["name"]}]]
    changed = vera.patch(f"/secrets/{secret['id']}/", {"value": "another-value", "variable": False})
    assert (changed.status_code, changed.json()["variable"]) == (200, False)
    assert vault.value_of(Secret.objects.get()) == b"another-value"
    assert all(VALUE not in answer.content.decode() for answer in (made, changed, vera.get("/secrets/")))
    assert vera.patch(f"/workspaces/{workspace['id']}/", {"secrets": []}).json()["secrets"] == []
    assert vera.delete(f"/secrets/{secret['id']}/").status_code == 204
    assert_problem(vera.delete(f"/secrets/{secret['id']}/"), 404)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "LD_PRELOAD"}, "name"),
        ({"name": 7}, "name"),
        ({"value": 12345678}, "value"),
        ({"value": ""}, "value"),
        ({"value": "x" * 65537}, "value"),
        ({"value": "a\0b"}, "value"),
        ({"kind": "password"}, "kind"),
        ({"kind": "ssh-key"}, "variable"),
        ({"kind": "ssh-key", "variable": False}, "value"),
        ({"variable": "perhaps"}, "variable"),
        ({"team": "vision"}, "team"),
        ({"team": "risk"}, "team"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_bad_body_names_its_field_and_never_the_value(vera: Caller, body: dict[str, Any], field: str) -> None:
    refused = vera.post("/secrets/", NEW | body)
    assert_problem(refused, 422, field)
    assert VALUE not in refused.content.decode()
    assert "12345678" not in refused.content.decode()
    assert not Secret.objects.exists()


def test_who_sees_and_changes_what(vera: Caller, people: Any, caller: Callable[..., Caller]) -> None:
    luis, oda = caller(people.luis), caller(people.oda)
    mine = vera.post("/secrets/", NEW).json()["id"]
    teams = luis.post("/secrets/", NEW | {"team": "vision"}).json()["id"]
    assert {one["id"]: one["may_change"] for one in vera.get("/secrets/").json()["results"]} == {
        mine: True,
        teams: False,
    }
    assert [one["id"] for one in luis.get("/secrets/").json()["results"]] == [teams]
    assert oda.get("/secrets/").json()["results"] == []
    assert_problem(vera.patch(f"/secrets/{teams}/", {"value": "x"}), 403)
    assert_problem(vera.delete(f"/secrets/{teams}/"), 403)
    for secret in (mine, teams):
        assert_problem(oda.patch(f"/secrets/{secret}/", {"value": "x"}), 404)
        assert_problem(oda.delete(f"/secrets/{secret}/"), 404)
    assert_problem(luis.delete(f"/secrets/{mine}/"), 404)
    assert Secret.objects.count() == 2


def test_a_token_that_may_only_read_changes_nothing(people: Any, caller: Callable[..., Caller]) -> None:
    reader = caller(people.vera, ("workspaces:read",))
    assert reader.get("/secrets/").status_code == 200
    assert_problem(reader.post("/secrets/", NEW), 403)
    assert_problem(caller(people.vera, ("jobs:write",)).get("/secrets/"), 403)


def test_a_launch_with_somebody_elses_secret_names_it(
    vera: Caller, people: Any, catalog: None, caller: Callable[..., Caller]
) -> None:
    caller(people.oda).post("/secrets/", NEW)
    problem = assert_problem(
        vera.post("/workspaces/", {"template": "jupyter-python", "secrets": ["HF_TOKEN"]}), 422, "secrets"
    )
    assert "“HF_TOKEN”" in problem["detail"]
    assert problem["next"]["url"].endswith("/secrets/")


def test_a_lead_does_not_choose_for_the_owner(
    vera: Caller, people: Any, catalog: None, caller: Callable[..., Caller]
) -> None:
    pk = vera.post("/workspaces/", {"template": "jupyter-python"}).json()["id"]
    assert_problem(caller(people.luis).patch(f"/workspaces/{pk}/", {"secrets": []}), 403)


def test_what_is_kept_of_a_request_tells_nothing_of_its_value(vera: Caller) -> None:
    first = vera.post("/secrets/", NEW, **{"Idempotency-Key": "once"})
    again = vera.post("/secrets/", NEW, **{"Idempotency-Key": "once"})
    assert (first.json(), again["Idempotency-Replayed"]) == (again.json(), "true")
    [row] = IdempotencyKey.objects.values()
    assert VALUE not in str(row)
