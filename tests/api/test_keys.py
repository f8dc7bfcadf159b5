"""SSH keys through the API: a person's own, public halves only."""

from collections.abc import Callable
from typing import Any

import asyncssh
import pytest

from portal.accounts.models import PublicKey
from tests.accounts.test_keys import public
from tests.api.conftest import Caller, assert_problem

FIELDS = {"id", "name", "kind", "fingerprint", "created_at", "last_used_at"}


def test_a_key_lives_from_add_to_revoke(vera: Caller) -> None:
    made = vera.post("/keys/", {"key": public(comment="vera@laptop")})
    assert made.status_code == 201
    key = made.json()
    assert set(key) == FIELDS
    assert (key["name"], key["kind"], key["fingerprint"][:7]) == ("vera@laptop", "ssh-ed25519", "SHA256:")
    assert key["last_used_at"] is None
    assert vera.get("/keys/").json()["results"] == [key]
    assert vera.post("/keys/", {"key": public(), "name": "desktop"}).json()["name"] == "desktop"
    assert vera.delete(f"/keys/{key['id'].lower()}/").status_code == 204
    assert_problem(vera.delete(f"/keys/{key['id']}/"), 404)
    assert [one["name"] for one in vera.get("/keys/").json()["results"]] == ["desktop"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "key"),
        ({"key": ""}, "key"),
        ({"key": 7}, "key"),
        ({"key": "ssh-ed25519 AAAA"}, "key"),
        ({"key": "ssh-ed25519 \ud800"}, "key"),
        ({"key": "x" * 20_001}, "key"),
        ({"key": asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()}, "key"),
        ({"key": public(), "name": "a\0b"}, "name"),
        ({"key": public(), "name": "x" * 101}, "name"),
        ({"key": public(), "colour": "red"}, "colour"),
    ],
)
def test_a_bad_body_names_its_field(vera: Caller, body: dict[str, Any], field: str) -> None:
    refused = vera.post("/keys/", body)
    assert_problem(refused, 422, field)
    assert "BEGIN OPENSSH" not in refused.content.decode()
    assert not PublicKey.objects.exists()


def test_keys_of_others_are_unknown_and_cannot_be_added_again(
    vera: Caller, people: Any, caller: Callable[..., Caller]
) -> None:
    text = public()
    pk = vera.post("/keys/", {"key": text}).json()["id"]
    for other in (caller(people.oda), caller(people.luis), caller(people.ada)):
        assert other.get("/keys/").json()["results"] == []
        assert_problem(other.delete(f"/keys/{pk}/"), 404)
        assert_problem(other.post("/keys/", {"key": text}), 422, "key")
    assert PublicKey.objects.count() == 1


def test_scopes_are_those_of_workspaces(vera: Caller, people: Any, caller: Callable[..., Caller]) -> None:
    pk = vera.post("/keys/", {"key": public()}).json()["id"]
    reader = caller(people.vera, ("workspaces:read",))
    assert reader.get("/keys/").status_code == 200
    assert_problem(reader.post("/keys/", {"key": public()}), 403)
    assert_problem(reader.delete(f"/keys/{pk}/"), 403)
    assert_problem(caller(people.vera, ("jobs:write",)).get("/keys/"), 403)


def test_the_same_key_of_a_request_adds_one(vera: Caller) -> None:
    body = {"key": public()}
    first, again = (vera.post("/keys/", body, **{"Idempotency-Key": "once"}) for _ in range(2))
    assert (first.json(), again["Idempotency-Replayed"]) == (again.json(), "true")
    assert PublicKey.objects.count() == 1
