"""Who halts amid a transaction holds nobody up for ever."""

import threading
from collections.abc import Iterator

import pytest
from django.db import DatabaseError, connection, transaction

from portal.lib import locks

pytestmark = pytest.mark.django_db(transaction=True)
LOCK = 7_299_999


class Holder(threading.Thread):
    """Takes the lock, and does nothing amid its transaction until it is resumed."""

    def __init__(self) -> None:
        super().__init__()
        self.held, self.resumed, self.undone = threading.Event(), threading.Event(), False

    def run(self) -> None:
        try:
            with transaction.atomic():
                locks.take(LOCK)
                self.held.set()
                self.resumed.wait(30)
        except DatabaseError:
            self.undone = True
        finally:
            connection.close()


@pytest.fixture
def holder() -> Iterator[Holder]:
    found = Holder()
    found.start()
    assert found.held.wait(30)
    yield found
    found.resumed.set()
    found.join()


def test_one_at_a_time(holder: Holder) -> None:
    with transaction.atomic():
        assert not locks.try_to_take(LOCK)
    holder.resumed.set()
    holder.join()
    with transaction.atomic():
        assert locks.try_to_take(LOCK)
    assert not holder.undone


def test_it_ends_for_one_that_halts(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.setattr(locks, "HALTED", "300ms")
    holder: Holder = request.getfixturevalue("holder")
    with transaction.atomic():
        locks.take(LOCK)
    holder.resumed.set()
    holder.join()
    assert holder.undone


def test_what_it_sets_ends_with_the_transaction() -> None:
    with transaction.atomic():
        locks.take(LOCK)
    with connection.cursor() as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        assert cursor.fetchone() == ("0",)
