"""The OpenAPI document, its page, limits on how often, and what a bug looks like."""

from io import StringIO
from typing import Any

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.test import Client

from environments import actions
from portal.api.throttles import ScopedThrottle
from tests.api.conftest import Caller, assert_problem


def test_the_document_is_valid_and_without_warnings() -> None:
    output = StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=output)
    assert "operationId: create_workspace" in output.getvalue()


@pytest.mark.django_db
def test_the_document_and_its_page_need_no_token_and_no_other_host(settings: Any) -> None:
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    }
    document = Client().get("/api/v1/schema/?format=json")
    assert document.status_code == 200
    operations = [op for path in document.json()["paths"].values() for op in path.values()]
    assert all({"401", "403"} <= set(op["responses"]) for op in operations)
    assert all(op["tags"] and op["operationId"] and op["summary"] for op in operations)
    page = Client().get("/api/v1/docs/").content.decode()
    assert "http://" not in page and "https://" not in page
    assert "<script>" not in page


RATES = {"launch": "2/min", "ticket": "1/min"}


class Unreachable:
    """A cache whose server is away."""

    def get(self, *args: Any) -> Any:
        raise ConnectionError("no cache")


def test_too_many_launches_are_told_when_to_come_back(
    vera: Caller, catalog: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ScopedThrottle, "THROTTLE_RATES", RATES)
    for _ in range(2):
        assert vera.post("/workspaces/", {"template": "jupyter-python"}).status_code == 201
    refused = vera.post("/workspaces/", {"template": "jupyter-python"})
    assert_problem(refused, 429)
    assert 1 <= int(refused["Retry-After"]) <= 60
    pk = vera.get("/workspaces/").json()["results"][0]["id"]
    assert_problem(vera.post(f"/workspaces/{pk}/open/"), 409)
    assert_problem(vera.post(f"/workspaces/{pk}/open/"), 429)


def test_without_the_cache_there_is_no_limit_and_no_failure(
    vera: Caller, catalog: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ScopedThrottle, "THROTTLE_RATES", RATES)
    monkeypatch.setattr(ScopedThrottle, "cache", Unreachable())
    for _ in range(3):
        assert vera.post("/workspaces/", {"template": "jupyter-python"}).status_code == 201
    assert len([record for record in caplog.records if "nothing is throttled" in record.message]) == 1
    monkeypatch.setattr(ScopedThrottle, "cache", cache)
    assert vera.post("/workspaces/", {"template": "jupyter-python"}).status_code == 201
    assert not ScopedThrottle.said


def test_a_bug_is_our_fault_and_has_an_id_that_is_in_the_log(
    vera: Caller, catalog: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr(actions, "create", broken)
    problem = assert_problem(vera.post("/workspaces/", {"template": "jupyter-python"}), 500)
    assert "a secret detail" not in str(problem)
    error_id = problem["detail"].split()[-1].rstrip(".")
    (record,) = [record for record in caplog.records if error_id in record.getMessage()]
    assert record.exc_info is not None
