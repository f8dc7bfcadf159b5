"""The export in the columns of FOCUS: what each holds, who gets which rows, and that they add up."""

import csv
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from environments.models import Workspace
from portal.lib import clock
from portal.usage import focus, reports
from portal.usage.models import UsageInterval
from portal.usage.reports import Scope
from tests.api.conftest import Caller, assert_problem, caller  # noqa: F401  # a fixture
from tests.conftest import People
from tests.usage.test_metering import T0, interval
from tests.usage.test_pages import enter
from tests.usage.test_statements import ticks

pytestmark = pytest.mark.django_db
HOUR, DAY = 3600, 24 * 3600
NOVEMBER = clock.month_of(T0)
MANDATORY = {
    *("BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd"),
    *("BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd"),
    *("ChargePeriodStart", "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity"),
    *("PricingUnit", "ProviderName", "PublisherName", "ServiceCategory", "ServiceName"),
}


def charges(answer: Any) -> list[dict[str, str]]:
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(StringIO(answer.getvalue().decode())))


def november(client: Client) -> list[dict[str, str]]:
    return charges(client.get("/usage/export/focus.csv?month=2026-11"))


def test_each_interval_is_a_row_as_far_as_it_lies_in_the_month(people: People) -> None:
    values: dict[str, Any] = {"meter": "gpu", "quantity": Decimal(2), "price_per_hour": Decimal("2.30")}
    row = interval(-HOUR, 2 * HOUR, gpu_class="a100", owner_kind="job", template="python", node="n1", **values)
    ticks(2026, 12, 1, 0, 1)
    (found,) = november(enter(people.luis))
    assert set(found) >= MANDATORY
    assert found["InvoiceId"] == row.items.get(month=T0).statement_id
    assert json.loads(found["Tags"]) == {"user": "vera", "template": "python", "node": "n1", "gpu_class": "a100"}
    assert (
        found.items()
        >= {
            "BilledCost": "9.2000000000",
            "BillingCurrency": "EUR",
            "BillingPeriodStart": "2026-11-01T00:00:00Z",
            "BillingPeriodEnd": "2026-12-01T00:00:00Z",
            "ChargePeriodStart": "2026-11-01T00:00:00Z",
            "ChargePeriodEnd": "2026-11-01T02:00:00Z",
            "ChargeCategory": "Usage",
            "ChargeClass": "",
            "ConsumedQuantity": "14400.0000",
            "ConsumedUnit": "GPU-Seconds",
            "ListUnitPrice": "2.300000",
            "PricingQuantity": "4.0000000000",
            "PricingUnit": "GPU-Hours",
            "ResourceId": "W",
            "ResourceName": "W",  # what is no longer there has no name
            "ResourceType": "Job",
            "ServiceName": "Jobs",
            "SkuId": "gpu-a100",
            "SkuPriceId": "gpu-a100@2.300000-EUR",
            "SubAccountId": "vision",
            "SubAccountName": "Vision",
        }.items()
    )


def test_its_costs_add_up_to_the_report(people: People) -> None:
    """Although each is a fraction that never ends."""
    for n in range(200):
        interval(n * 15_000 - 7, n * 15_000 + 7_777 + n, allocation_id=f"A{n}", price_per_hour=Decimal("0.017") * n)
    found = november(enter(people.ada))
    report = reports.total(reports.sums(Scope(), [NOVEMBER]).values())
    assert sum(Decimal(row["BilledCost"]) for row in found) == report.cost.quantize(focus.DIGITS)
    assert sum(Decimal(row["ConsumedQuantity"]) for row in found) == report.held["cpu"]
    for row in found:
        exact = Decimal(row["ConsumedQuantity"]) * Decimal(row["ListUnitPrice"]) / 3600
        assert abs(Decimal(row["BilledCost"]) - exact) <= focus.DIGITS


def test_currencies_are_kept_apart(people: People) -> None:
    interval(0, 7)
    interval(0, 7, allocation_id="B", currency="USD")
    assert {(row["BillingCurrency"], row["BilledCost"]) for row in november(enter(people.ada))} == {
        ("EUR", "0.0000583333"),
        ("USD", "0.0000583333"),
    }


def test_what_is_open_counts_up_to_now(people: People) -> None:
    interval(0, None)
    with clock.shifted(T0 + timedelta(hours=2, seconds=1) - clock.now()):
        (found,) = charges(enter(people.ada).get("/usage/export/focus.csv"))
    assert (found["ChargePeriodEnd"], found["InvoiceId"]) == ("2026-11-01T02:00:01Z", "")
    assert Decimal(found["ConsumedQuantity"]) == Decimal("1.5") * 7201


def test_names_are_those_on_the_pages_and_run_nothing(
    people: People, make_workspace: Callable[..., Any], settle: Callable[..., None]
) -> None:
    with clock.shifted(datetime(2026, 11, 3, tzinfo=UTC) - clock.now()):
        made = make_workspace(name="churn")
        settle()
        Workspace.objects.filter(pk=made.pk).update(name="=cmd()")
        UsageInterval.objects.update(user="+x")
    with clock.shifted(datetime(2026, 11, 4, tzinfo=UTC) - clock.now()):
        found = november(enter(people.luis))
    assert {(row["SkuMeter"], row["PricingUnit"]) for row in found} == {("CPU", "Core-Hours"), ("Memory", "GiB-Hours")}
    assert {row["ResourceName"] for row in found} == {"'=cmd()"}
    assert {row["ResourceType"] for row in found} == {"Workspace"}


def test_leads_get_their_teams_and_members_nothing(
    people: People,
    caller: Callable[..., Caller],  # noqa: F811  # the fixture
) -> None:
    interval(0, HOUR)
    interval(0, HOUR, allocation_id="B", team="risk", user="oda")
    path = "/usage/export/?format=focus&month=2026-11"
    for person, teams in ((people.luis, {"vision"}), (people.ada, {"vision", "risk"})):
        assert {row["SubAccountId"] for row in november(enter(person))} == teams
        assert {row["SubAccountId"] for row in charges(caller(person).get(path))} == teams
    assert enter(people.vera).get("/usage/export/focus.csv").status_code == 403
    assert_problem(caller(people.vera).get(path), 403)
    assert_problem(caller(people.luis, scopes=("jobs:read",)).get(path), 403)
    assert Client().get("/usage/export/focus.csv").status_code == 302


@pytest.mark.parametrize("month", ["2026", "2026-13", "2026-00", "0000-01", "x" * 300, "٢٠٢٦-11", "2026-11-01"])
def test_another_word_is_no_month(
    people: People,
    caller: Callable[..., Caller],  # noqa: F811  # the fixture
    month: str,
) -> None:
    assert enter(people.ada).get(f"/usage/export/focus.csv?month={month}").status_code == 422
    assert_problem(caller(people.ada).get(f"/usage/export/?format=focus&month={month}"), 422, "month")


def test_the_api_is_told_the_format(people: People, caller: Callable[..., Caller]) -> None:  # noqa: F811
    for query in ("", "?format=pdf"):
        assert_problem(caller(people.ada).get(f"/usage/export/{query}"), 422, "format")


def test_it_comes_in_pieces_with_as_many_questions_for_each(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first rows are there before the last are read."""
    for n in range(6):
        interval(n * HOUR, (n + 1) * HOUR, allocation_id=f"A{n}")
    monkeypatch.setattr(focus, "CHUNK", 2)
    found = focus.rows(Scope(), NOVEMBER)
    assert next(found) == list(focus.COLUMNS)
    next(found)
    assert len(list(found)) == 5


def test_every_column_is_described() -> None:
    page = (settings.BASE_DIR / "docs/reference/focus.md").read_text()
    heads = " ".join(line.split("|")[1] for line in page.splitlines() if line.startswith("| `"))
    assert set(re.findall(r"`(\w+)`", heads)) == set(focus.COLUMNS)
