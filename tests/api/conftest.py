"""Callers of the API: a client with a token, and lines in a log."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client

from portal.accounts.actions import create_token
from portal.accounts.states import SCOPES
from portal.api.throttles import ScopedThrottle
from tests.jobs.conftest import leaving, submit, tick, volumes  # noqa: F401  # fixtures

BASE = "/api/v1"


@dataclass
class Caller:
    """A client that sends a token, and JSON unless told another kind."""

    secret: str
    user: Any = None

    def __post_init__(self) -> None:
        self.http = Client(raise_request_exception=False)

    def send(self, method: str, path: str, body: Any = None, kind: str = "application/json", **headers: str) -> Any:
        if self.secret:
            headers.setdefault("Authorization", f"Bearer {self.secret}")
        content = {"data": body, "content_type": kind} if body is not None else {}
        return self.http.generic(method, f"{BASE}{path}", **_encoded(content), headers=headers)

    def get(self, path: str, **headers: str) -> Any:
        return self.send("GET", path, **headers)

    def post(self, path: str, body: Any = None, kind: str = "application/json", **headers: str) -> Any:
        return self.send("POST", path, body, kind, **headers)

    def put(self, path: str, body: Any) -> Any:
        return self.send("PUT", path, body)

    def patch(self, path: str, body: Any) -> Any:
        return self.send("PATCH", path, body)

    def delete(self, path: str) -> Any:
        return self.send("DELETE", path)


def _encoded(content: dict[str, Any]) -> dict[str, Any]:
    if content and not isinstance(content["data"], (str, bytes)):
        content["data"] = json.dumps(content["data"])
    return content


@pytest.fixture(autouse=True)
def _unthrottled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ScopedThrottle, "THROTTLE_RATES", {"launch": None, "ticket": None})


@pytest.fixture
def caller() -> Callable[..., Caller]:
    """A caller for a user, with all scopes unless told."""

    def make(user: Any, scopes: tuple[str, ...] = SCOPES, days: int = 1) -> Caller:
        return Caller(create_token(user, "test", list(scopes), days, actor="test").secret, user)

    return make


@pytest.fixture
def vera(people: Any, caller: Callable[..., Caller]) -> Caller:
    """The owner in most tests, a member of team vision."""
    return caller(people.vera)


def assert_problem(response: Any, status: int, *fields: str) -> dict[str, Any]:
    """The answer is a problem of that status that names these fields."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert set(problem) == {"type", "title", "status", "code", "detail", "errors", "next"}
    assert problem["status"] == status
    assert problem["title"] and problem["detail"] and problem["code"]
    assert set(problem["errors"]) == set(fields)
    return problem
