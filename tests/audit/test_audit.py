"""The audit trail: append-only in the database, and every edit shows."""

import pytest
from django.db import DatabaseError, connection, transaction

from portal.audit.actions import record, verify
from portal.audit.models import AuditEvent

pytestmark = pytest.mark.django_db


def test_the_chain_verifies() -> None:
    for number in range(5):
        record("vera", "test.verb", f"thing-{number}", before={"a": number}, after={"ü": None})
    assert verify() == []


@pytest.mark.parametrize("change", ["UPDATE audit_auditevent SET actor='x'", "DELETE FROM audit_auditevent"])
def test_the_database_refuses_changes(change: str) -> None:
    record("vera", "test.verb", "thing")
    with pytest.raises(DatabaseError, match="never changed"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(change)


def test_an_edit_around_the_guard_shows() -> None:
    events = [record("vera", "test.verb", f"thing-{n}") for n in range(3)]
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_auditevent DISABLE TRIGGER USER")
        cursor.execute("UPDATE audit_auditevent SET actor='oda' WHERE id=%s", [events[1].pk])
        cursor.execute("ALTER TABLE audit_auditevent ENABLE TRIGGER USER")
    assert verify() == [events[1].pk]
    assert AuditEvent.objects.count() == 3
