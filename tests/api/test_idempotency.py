"""A request with an Idempotency-Key has one effect and one answer."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from environments.models import Workspace
from portal.api.idempotency import forget_old_keys
from portal.api.models import IdempotencyKey
from portal.lib import clock
from tests.api.conftest import Caller, assert_problem

BODY = {"template": "jupyter-python"}
HEADER = "Idempotency-Key"


def _post(caller: Caller, key: str, body: Any = None) -> Any:
    return caller.post("/workspaces/", BODY if body is None else body, **{HEADER: key})


def test_the_same_request_again_gets_the_first_answer(vera: Caller, catalog: None) -> None:
    first, second = _post(vera, "k1"), _post(vera, "k1")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert second["Idempotency-Replayed"] == "true"
    assert Workspace.objects.count() == 1


def test_the_order_of_fields_does_not_matter(vera: Caller, catalog: None) -> None:
    first = _post(vera, "k1", '{"template": "jupyter-python", "name": "a"}')
    second = _post(vera, "k1", '{"name":"a","template":"jupyter-python"}')
    assert first.json() == second.json()


def test_another_key_or_none_makes_another(vera: Caller, catalog: None) -> None:
    _post(vera, "k1")
    _post(vera, "k2")
    vera.post("/workspaces/", BODY)
    assert Workspace.objects.count() == 3


def test_keys_belong_to_their_user(people: Any, vera: Caller, caller: Callable[..., Caller], catalog: None) -> None:
    assert _post(vera, "k1").json()["owner"] == "vera"
    assert _post(caller(people.oda), "k1").json()["owner"] == "oda"


def test_a_key_cannot_be_used_for_another_request(vera: Caller, catalog: None) -> None:
    _post(vera, "k1")
    assert_problem(_post(vera, "k1", BODY | {"name": "other"}), 422, HEADER)
    assert Workspace.objects.count() == 1


@pytest.mark.parametrize("key", ["", "x" * 201, "schlüssel", "a\tb"])
def test_a_key_is_printable_and_not_too_long(vera: Caller, catalog: None, key: str) -> None:
    assert_problem(_post(vera, key), 422, HEADER)


def test_what_failed_can_be_tried_again_with_the_same_key(vera: Caller, catalog: None) -> None:
    assert_problem(_post(vera, "k1", {"template": "unknown"}), 422, "template")
    assert not IdempotencyKey.objects.exists()
    assert _post(vera, "k1").status_code == 201


def test_a_key_is_forgotten_after_a_day(
    vera: Caller, people: Any, caller: Callable[..., Caller], catalog: None
) -> None:
    long = caller(people.vera, days=3)
    _post(long, "k1")
    with clock.shifted(timedelta(hours=23)):
        forget_old_keys()
        assert _post(long, "k1").has_header("Idempotency-Replayed")
    with clock.shifted(timedelta(hours=25)):
        assert not _post(long, "k1").has_header("Idempotency-Replayed")
    with clock.shifted(timedelta(hours=50)):
        forget_old_keys()
    assert not IdempotencyKey.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_at_once_have_one_effect(vera: Caller, catalog: None) -> None:
    count = 6
    answers: list[Any] = []
    together = threading.Barrier(count)

    def ask() -> None:
        together.wait()
        answers.append(_post(Caller(vera.secret), "k1"))
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert Workspace.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_second_waits_and_is_done_when_the_first_fails(vera: Caller, catalog: None) -> None:
    answers: list[Any] = []

    def ask() -> None:
        answers.append(_post(Caller(vera.secret), "k1"))
        connection.close()

    second = threading.Thread(target=ask)
    with transaction.atomic():
        IdempotencyKey.objects.create(user=vera.user, key="k1", request="", body_hash="")
        second.start()
        while not _someone_waits():
            assert not answers
        transaction.set_rollback(True)
    second.join()
    assert answers[0].status_code == 201
    assert Workspace.objects.count() == 1


def _someone_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.01), pg_stat_clear_snapshot()")
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'")
        return bool(cursor.fetchone()[0])
