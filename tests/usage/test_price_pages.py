"""Page of prices: what a month would have cost at others, its CSV, who published which, and the same in the API."""

import csv
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.test import Client

from portal.usage.models import Price
from tests.api.conftest import Caller, assert_problem, caller  # noqa: F401  # a fixture
from tests.conftest import People
from tests.usage.test_metering import interval
from tests.usage.test_pages import enter
from tests.usage.test_prices import after, at, publish

pytestmark = pytest.mark.django_db
PATH = "/usage/prices/"
HOUR, END = 3600, 30 * 24 * 3600
DECEMBER = datetime(2026, 12, 10, tzinfo=UTC)


@pytest.fixture
def used(people: People) -> Any:
    """In November; it is the tenth of December."""
    publish(after(-HOUR), cpu="0.02", memory="0.005", gpu_a100="2.30")
    interval(0, HOUR)
    interval(0, HOUR, meter="memory", quantity=Decimal(4), price_per_hour=Decimal("0.005"))
    interval(END - HOUR, None, allocation_id="B", meter="gpu", quantity=Decimal(2), gpu_class="a100")
    interval(END - HOUR, END + HOUR, allocation_id="C", team="=risk", gpu_class="a100", quantity=Decimal(3))
    with at(DECEMBER):
        yield


def shown(client: Client, query: str = "", status: int = 200) -> str:
    answer = client.get(PATH + query)
    assert answer.status_code == status
    return " ".join(answer.content.decode().split())


def lines(client: Client, query: str) -> list[dict[str, str]]:
    answer = client.get(f"{PATH}export/{query}")
    assert answer["Content-Disposition"].startswith('attachment; filename="berth-prices-2026-1')
    return list(csv.DictReader(StringIO(answer.getvalue().decode())))


def test_last_month_is_compared_to_the_last_digit(people: People, used: None) -> None:
    ada = enter(people.ada)
    rows = lines(ada, "?cpu=0.000001&memory=0.01&gpu-a100=3")
    assert [tuple(row.values()) for row in rows] == [
        # 1.5 × 0.02 + 4 × 0.005 + 2 × 0.02, and at the others 1.5 × 0.000001 + 4 × 0.01 + 2 × 3
        ("2026-11", "vision", "0.0900000000", "6.0400015000", "5.9500015000", "EUR"),
        ("2026-11", "'=risk", "0.0600000000", "0.0000030000", "-0.0599970000", "EUR"),
    ]
    page = shown(ada, "?cpu=0.000001&memory=0.01&gpu-a100=3")
    for part in ("Vision", "€ 0.09", "€ 6.04", "€ 5.95", "€ -0.06", "€ 0.15", "€ 5.89"):
        assert part in page


def test_at_first_it_is_last_month_at_the_prices_in_force(people: People, used: None) -> None:
    page = shown(enter(people.ada))
    for part in ('value="2026-11"', 'value="0.02"', 'value="2.3"', "One GB of memory", "One A100", "€ 4.65"):
        assert part in page  # 1.5 × 0.02 + 4 × 0.005 + 2 × 2.30


def test_what_runs_counts_up_to_now(people: People, used: None) -> None:
    [vision, risk] = lines(enter(people.ada), "?month=2026-12&gpu-a100=1")
    assert vision["at_these_prices"] == f"{2 * 9 * 24}.0000000000"
    assert (risk["team"], risk["billed"]) == ("'=risk", "0.0600000000")
    assert "Nothing ran in this month." in shown(enter(people.ada), "?month=2026-01")


def test_what_has_no_price_any_more_or_another_currency_is_said(people: People, used: None) -> None:
    interval(0, HOUR, allocation_id="D", meter="gpu", gpu_class="k80", currency="EUR")
    interval(0, HOUR, allocation_id="E", team="risk", currency="USD")
    page = shown(enter(people.ada))
    assert "One K80" in page
    assert "What was billed in USD is not counted here." in page
    assert [row["team"] for row in lines(enter(people.ada), "?gpu-k80=2")] == ["vision", "'=risk"]


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("cpu", "-1", "greater than or equal to 0"),
        ("cpu", "x", "Enter a number"),
        ("cpu", "NaN", "Enter a number"),
        ("memory", "1e309", "no more than 13 digits"),
        ("memory", "0.0000001", "no more than 6 decimal places"),
        ("gpu-a100", "", "This field is required"),
        ("gpu-a100", "12345678", "no more than 7 digits before"),
        ("month", "2026-13", "Name a month by year and number"),
        ("month", "soon", "Name a month by year and number"),
        ("month", "", "This field is required"),
        ("month", "%00", "Null characters"),
        ("month", "2027-01", "has not begun yet"),
    ],
)
def test_nonsense_is_named_at_its_field(people: People, used: None, field: str, value: str, sentence: str) -> None:
    ada = enter(people.ada)
    for path in (PATH, f"{PATH}export/"):
        answer = ada.get(f"{path}?{field}={value}")
        assert answer.status_code == 422
        assert list(answer.context["form"].errors) == [field]
        assert sentence in answer.content.decode()


def test_it_is_for_administrators_and_linked_for_them(people: People, used: None) -> None:
    for path in (PATH, f"{PATH}export/"):
        assert Client().get(path).status_code == 302
        assert enter(people.ada).post(path).status_code == 405
        for person in (people.vera, people.luis):
            assert enter(person).get(path).status_code == 403
    assert f'href="{PATH}"' in enter(people.ada).get("/usage/").content.decode()
    assert PATH not in enter(people.luis).get("/usage/").content.decode()


def test_it_says_who_published_which_price_when(people: People, used: None, caller: Callable[..., Caller]) -> None:  # noqa: F811
    publish(DECEMBER - timedelta(days=1), cpu="0.03")
    page = shown(enter(people.ada))
    assert page.index("0.030000 EUR") < page.index("0.020000 EUR")
    answer = caller(people.ada).get("/prices/?limit=1").json()
    assert answer["results"] == [
        {
            "sku": "cpu",
            "per_hour": "0.030000",
            "currency": "EUR",
            "valid_from": "2026-12-09T00:00:00Z",
            "published_by": "ada",
        }
    ]
    assert answer["next"]
    assert_problem(caller(people.luis).get("/prices/"), 403)
    for n in range(60):
        publish(DECEMBER - timedelta(hours=23 - n / 10), cpu=f"{n}")
    assert "Page 1 of 2" in shown(enter(people.ada), "?cpu=5")
    assert "?cpu=5&amp;page=2" in shown(enter(people.ada), "?cpu=5")
    assert Price.objects.count() == 64


def test_it_asks_a_fixed_number_of_questions(people: People, used: None, django_assert_num_queries: Any) -> None:
    ada = enter(people.ada)
    for n in range(30):
        interval(0, HOUR, allocation_id=f"F{n}", team=f"team-{n}", gpu_class=f"class-{n}")
    for path, number in ((PATH, 8), (f"{PATH}export/", 4)):
        with django_assert_num_queries(number):
            ada.get(path)
