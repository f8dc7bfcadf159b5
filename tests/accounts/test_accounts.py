"""Signing in with its limit, and personal tokens."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from portal.accounts import access, actions
from portal.accounts.models import ApiToken
from portal.lib import clock
from portal.lib.errors import Invalid
from tests.conftest import People

pytestmark = pytest.mark.django_db


def try_password(client: Client, password: str, address: str = "192.0.2.1") -> Any:
    fields = {"username": "vera", "password": password, "next": "/tokens/"}
    return client.post("/sign-in/", fields, headers={"X-Real-IP": address})


def test_sign_in_and_out(client: Client, people: People) -> None:
    assert try_password(client, "correct-horse-battery")["Location"] == "/tokens/"
    assert client.get("/tokens/").status_code == 200
    assert client.get("/sign-out/").status_code == 405
    client.post("/sign-out/")
    assert client.get("/tokens/").status_code == 302


def test_wrong_passwords_are_limited(client: Client, people: People) -> None:
    assert try_password(client, "wrong").status_code == 422
    answers = [try_password(client, "wrong") for _ in range(5)]
    assert answers[-1].status_code == 429
    assert "Wait 15 minutes" in answers[-1].content.decode()
    assert try_password(client, "correct-horse-battery").status_code == 429
    assert try_password(client, "correct-horse-battery", address="192.0.2.2").status_code == 302


@pytest.mark.parametrize("elsewhere", ["//evil.example", "https://evil.example/", "/\\evil.example"])
def test_no_redirect_elsewhere(client: Client, people: People, elsewhere: str) -> None:
    answer = client.post("/sign-in/", {"username": "vera", "password": "correct-horse-battery", "next": elsewhere})
    assert answer["Location"] == "/"


def test_a_token_is_shown_once_and_kept_as_a_digest(signed_in: Callable[[Any], Client], people: People) -> None:
    client = signed_in(people.vera)
    page = client.post("/tokens/", {"name": "laptop", "scopes": ["workspaces:read", "jobs:write"], "days": "7"})
    token = ApiToken.objects.get()
    secret = page.context["new_token"]
    assert secret in page.content.decode()
    assert secret not in client.get("/tokens/").content.decode()
    assert secret not in (token.digest, token.prefix)
    assert access.user_by_token(secret) == token
    client.post(f"/tokens/{token.pk}/revoke/")
    assert access.user_by_token(secret) is None
    assert client.post("/tokens/", {"name": "", "scopes": [], "days": "0"}).status_code == 422


def test_tokens_expire_and_strangers_cannot_revoke(signed_in: Callable[[Any], Client], people: People) -> None:
    new = actions.create_token(people.vera, "laptop", ["workspaces:read"], 1, actor="vera")
    assert signed_in(people.oda).post(f"/tokens/{new.token.pk}/revoke/").status_code == 404
    with clock.shifted(timedelta(days=1)):
        assert access.user_by_token(new.secret) is None


@pytest.mark.parametrize(
    ("name", "scopes", "days", "field"),
    [
        ("", ["workspaces:read"], 1, "name"),
        ("a\nb", ["workspaces:read"], 1, "name"),
        ("x" * 101, ["workspaces:read"], 1, "name"),
        ("x", [], 1, "scopes"),
        ("x", ["everything"], 1, "scopes"),
        ("x", ["workspaces:read"], 0, "days"),
        ("x", ["workspaces:read"], 2**63, "days"),
    ],
)
def test_bad_tokens_are_refused(people: People, name: str, scopes: list[str], days: int, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        actions.create_token(people.vera, name, scopes, days, actor="vera")
    assert list(refused.value.fields) == [field]


def test_create_token_prints_it_last(people: People, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("create_token", "vera", "--scope", "workspaces:read", "--days", "2")
    secret = capsys.readouterr().out.split()[-1]
    token = access.user_by_token(secret)
    assert token is not None
    assert token.scopes == ["workspaces:read"]


def test_create_user_makes_a_person_who_can_sign_in(
    client: Client, capsys: pytest.CaptureFixture[str], db: None
) -> None:
    call_command("create_user", "bo", "--full-name", "Bo Lee", "--team", "vision", "--lead")
    password = capsys.readouterr().out.split()[-1]
    assert client.post("/sign-in/", {"username": "bo", "password": password}).status_code == 302
    with pytest.raises(CommandError, match="already"):
        call_command("create_user", "bo")
    call_command("create_user", "second", "--staff")
