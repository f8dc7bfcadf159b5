"""Views for tools that read tables: they say what the pages say, in numbers as exact, and nothing that is nobody's."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg2
import pytest
from django.conf import settings
from django.db import connection

from portal.lib import clock
from portal.lib.ids import new_id
from portal.usage import reports
from portal.usage.models import UsageInterval
from portal.usage.reports import Scope
from tests.conftest import People

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
VIEWS = ("budgets", "jobs", "members", "runs", "statements", "usage", "usage_by_day", "workspaces")


def rows(question: str) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(question)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]


@pytest.fixture
def used(people: People) -> None:
    """Three and a half days of two cores that go on, and an hour of a GPU."""
    now = clock.now().replace(microsecond=0)
    begin = now.replace(hour=12, minute=0, second=0) - 4 * DAY
    shared: dict[str, Any] = {"allocation_id": "a", "owner_kind": "workspace", "owner_id": "w", "team": "vision"}
    shared |= {"user": "vera", "template": "jupyter-python", "currency": "EUR"}
    shared["started_at"] = begin
    hour = {"ended_at": begin + timedelta(hours=1), "gpu_class": "a100"}
    UsageInterval.objects.create(**shared, meter="cpu", quantity=2, price_per_hour="0.021")
    UsageInterval.objects.create(**shared, **hour, meter="gpu", quantity=1, price_per_hour="2.3")


def test_there_are_these_views_and_no_column_of_theirs_is_a_secret() -> None:
    found = rows("SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'reporting'")
    assert {row["table_name"] for row in found} == set(VIEWS)
    hidden = ("password", "digest", "sealed", "email", "environment", "parameters", "command", "spec", "token")
    assert not [row for row in found if any(word in row["column_name"] for word in hidden)]
    for view in VIEWS:
        rows(f"SELECT * FROM reporting.{view}")


def test_hours_and_costs_are_those_of_the_pages(used: None) -> None:
    until = clock.now().replace(microsecond=0)
    found = reports.total(reports.sums(Scope(), [(until - 10 * DAY, until)]).values())
    for view in ("usage", "usage_by_day"):
        [sums] = rows(f"SELECT sum(cost) AS cost, sum(hours) AS hours FROM reporting.{view}")
        assert float(sums["cost"]) == pytest.approx(float(found.cost), abs=0.01)
        assert float(sums["hours"]) == pytest.approx(float(sum(found.hours.values())), abs=0.01)


def test_a_day_has_what_lies_in_it(used: None) -> None:
    days = rows("SELECT day, hours, cost FROM reporting.usage_by_day WHERE meter = 'cpu' ORDER BY day")
    assert [row["hours"] for row in days[:4]] == [24, 48, 48, 48]
    assert days[1]["cost"] == Decimal("1.008")
    [gpu] = rows("SELECT hours, cost FROM reporting.usage_by_day WHERE meter = 'gpu'")
    assert (gpu["hours"], gpu["cost"]) == (1, Decimal("2.3"))


def test_work_is_listed_by_team_person_and_environment(
    people: People, make_workspace: Callable[..., Any], settle: Callable[..., None]
) -> None:
    made = make_workspace(name="churn")
    settle()
    [workspace] = rows("SELECT * FROM reporting.workspaces")
    assert (workspace["id"], workspace["team"], workspace["user"]) == (made.pk, "vision", "vera")
    assert workspace["template"] == "jupyter-python"
    [run] = rows("SELECT * FROM reporting.runs")
    assert (run["item"], run["phase"], run["node"], run["memory_gib"]) == (made.pk, "running", "fake", 2)
    assert run["waited_seconds"] >= 0
    assert {row["user"] for row in rows("SELECT * FROM reporting.members WHERE role = 'lead'")} == {"luis"}


@pytest.mark.django_db(transaction=True)
def test_who_may_read_them_may_read_nothing_else() -> None:
    """As the how-to makes such a reader."""
    page = (settings.BASE_DIR / "docs" / "how-to" / "read-usage-with-other-tools.md").read_text()
    role = f"analyst_{new_id().lower()}"
    made = page.partition("```sql\n")[2].partition("```")[0].replace("analyst", role)
    database = connection.get_connection_params()
    administrator = psycopg2.connect(host=database["host"], dbname=database["dbname"], user="postgres")
    administrator.autocommit = True
    try:
        with administrator.cursor() as cursor:
            cursor.execute(made)
            cursor.execute(f"SET ROLE {role}")
            cursor.execute("SELECT count(*) FROM reporting.usage")
            for refused in ("SELECT * FROM accounts_user", "DELETE FROM usage_usageinterval", "SELECT * FROM jobs_job"):
                with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                    cursor.execute(refused)
            cursor.execute(f"RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")
    finally:
        administrator.close()
