"""Files by token: the same folders, rights and protocol as in the pages."""

from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from environments.models import Dataset
from portal.accounts.actions import create_token

pytestmark = pytest.mark.django_db(transaction=True)
At = Callable[..., Path]


class Caller:
    """A client that sends a token."""

    def __init__(self, user: Any, *scopes: str) -> None:
        made = create_token(user, "files", list(scopes or ("workspaces:write",)), 1, actor="test")
        self._headers = {"Authorization": f"Bearer {made.secret}"}

    def ask(self, method: str, path: str, body: bytes = b"", kind: str = "", **headers: str) -> Any:
        path = path if path.startswith("/api/") else f"/api/v1/files/{path}"
        told = self._headers | {name.replace("_", "-"): value for name, value in headers.items()}
        return Client().generic(method, path, body, content_type=kind, headers=told)


def upload(caller: Caller, key: str, name: str, content: bytes, path: str = "") -> Any:
    told = f"filename {b64encode(name.encode()).decode()}"
    made = caller.ask("POST", f"{key}/uploads/?path={path}", Upload_Length=str(len(content)), Upload_Metadata=told)
    assert made.status_code == 201, made.content
    url, half = made["Location"], len(content) // 2
    kind = "application/offset+octet-stream"
    assert caller.ask("PATCH", url, content[:half], kind, Upload_Offset="0")["Upload-Offset"] == str(half)
    assert caller.ask("HEAD", url)["Upload-Offset"] == str(half)
    return caller.ask("PATCH", url, content[half:], kind, Upload_Offset=str(half))


def test_files_go_up_are_listed_come_down_and_are_deleted(people: Any, at: At) -> None:
    home, vera = at(people.vera), Caller(people.vera)
    assert upload(vera, "home", "ten ☃", b"0123456789").status_code == 204
    assert (home / "ten ☃").read_bytes() == b"0123456789"
    listed = vera.ask("GET", "home/entries/").json()
    assert [(one["name"], one["kind"], one["size"]) for one in listed["entries"]] == [("ten ☃", "file", 10)]
    part = vera.ask("GET", "home/content/?path=ten ☃", Range="bytes=2-4")
    assert (part.status_code, b"".join(part)) == (206, b"234")
    assert part["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert vera.ask("DELETE", "home/content/?path=ten ☃").status_code == 204
    assert vera.ask("GET", "home/content/?path=ten ☃").status_code == 404


def test_a_token_sees_what_its_owner_sees(people: Any, at: At, numbers: Dataset) -> None:
    at(people.ada, "data-numbers")
    wanted = {people.vera: ["home", "team-vision", "data-numbers"], people.oda: ["home", "team-risk"]}
    for user, keys in wanted.items():
        assert [one["key"] for one in Caller(user).ask("GET", "").json()] == keys
    assert Caller(people.oda).ask("GET", "data-numbers/entries/").status_code == 404
    vera = Caller(people.vera)
    assert vera.ask("GET", "data-numbers/entries/").status_code == 200
    assert vera.ask("POST", "data-numbers/uploads/", Upload_Length="1").status_code == 403
    assert vera.ask("DELETE", "data-numbers/content/?path=x").status_code == 403


def test_reading_is_not_writing(people: Any, at: At) -> None:
    at(people.vera)
    reader = Caller(people.vera, "workspaces:read")
    assert reader.ask("GET", "home/entries/").status_code == 200
    assert reader.ask("POST", "home/uploads/", Upload_Length="1").status_code == 403
    assert Client().get("/api/v1/files/").status_code == 401


@pytest.mark.parametrize("path", ["../x", "/etc", "a//b", "x%00", "x" * 300])
def test_a_path_that_is_none_names_its_field(people: Any, at: At, path: str) -> None:
    at(people.vera)
    vera = Caller(people.vera)
    for method, address in (("GET", "entries"), ("GET", "content"), ("DELETE", "content"), ("POST", "uploads")):
        refused = vera.ask(method, f"home/{address}/?path={path}", Upload_Length="1")
        assert refused.status_code == 422
        assert set(refused.json()["errors"]) == {"path"}


def test_refusals_are_problems(people: Any, at: At) -> None:
    vera = Caller(people.vera)
    missing = vera.ask("GET", "home/entries/")
    assert (missing.status_code, missing.json()["code"]) == (409, "not_made")
    at(people.vera)
    assert vera.ask("HEAD", "uploads/01ARZ3NDEKTSV4RRFFQ69G5FAV/").status_code == 404
    assert vera.ask("DELETE", "home/content/").status_code == 422
    refused = vera.ask("POST", "home/uploads/")
    assert set(refused.json()["errors"]) == {"Upload-Length"}
