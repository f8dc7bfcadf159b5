"""Budgets: how a month stands, who is told when, and what is held back."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from portal.accounts.models import Team
from portal.audit.models import AuditEvent
from portal.compute import admission, queue
from portal.compute.models import Allocation, Size
from portal.lib import clock
from portal.lib.errors import Invalid
from portal.notices.models import Notice
from portal.usage import budgets
from portal.usage.models import Budget
from tests.conftest import People
from tests.usage.test_metering import interval
from tests.usage.test_pages import enter

pytestmark = pytest.mark.django_db
DAY = 24 * 3600
NOON = datetime(2026, 11, 16, 12, tzinfo=UTC)
EURO_A_DAY = {"quantity": Decimal(1), "price_per_hour": Decimal(1) / 24}


@pytest.fixture
def vision(people: People) -> Team:
    return Team.objects.get(slug="vision")


def at(moment: datetime) -> Any:
    return clock.shifted(moment - clock.now())


def spend(day: int, euros: int) -> None:
    """So many in the first hour of that day of November."""
    start = (day - 1) * DAY
    interval(start, start + 3600, allocation_id=f"A{day}-{euros}", quantity=Decimal(euros), price_per_hour=Decimal(1))


def told(user: Any) -> list[str]:
    return list(Notice.objects.filter(user=user).order_by("pk").values_list("text", flat=True))


def test_a_month_is_forecast_from_its_last_whole_days(vision: Team) -> None:
    for day in range(9, 16):
        spend(day, 10 if day % 2 else 14)
    spend(2, 100)
    with at(NOON):
        found = budgets.standing(budgets.put(vision, Decimal(400), "notify", actor="ada"))
    assert (found.spent.amount, found.percent) == (Decimal(100 + 4 * 10 + 3 * 14), 45)
    mean, left = (4 * 10 + 3 * 14) / 7, 14.5
    assert float(found.forecast.amount) == pytest.approx(182 + mean * left)
    assert 0 < float(found.band.amount) < 20
    assert found.exhausted_on is None  # 182 + 170 is less than 400


def test_it_says_when_it_is_used_up_at_this_rate(vision: Team) -> None:
    for day in range(9, 16):
        spend(day, 10)
    with at(NOON):
        found = budgets.standing(budgets.put(vision, Decimal(100), "notify", actor="ada"))
    assert (found.percent, found.exhausted_on, found.band.amount) == (70, date(2026, 11, 19), Decimal(0))


def test_nothing_spent_yet_forecasts_nothing(vision: Team) -> None:
    found = budgets.standing(budgets.put(vision, Decimal(100), "notify", actor="ada"))
    nothing = Decimal(0)
    assert (found.spent.amount, found.forecast.amount, found.percent) == (nothing, nothing, 0)
    assert found.exhausted_on is None


def test_leads_and_administrators_are_told_of_each_level_once_a_month(people: People, vision: Team) -> None:
    with at(NOON):
        budgets.put(vision, Decimal(100), "notify", actor="ada")
    for day, euros in ((16, 40), (17, 20), (18, 25), (19, 20)):
        spend(day, euros)
        for hours in (2, 3):
            with at(datetime(2026, 11, day, hours, tzinfo=UTC)):
                budgets.tick()
    levels = [text.partition(" has spent ")[2].partition(" of ")[0] for text in told(people.luis)]
    assert levels == ["50 %", "", "80 %", "100 %"]  # the second tells what is foreseen
    assert told(people.ada) == told(people.luis)
    assert told(people.vera) == []
    interval(30 * DAY, 30 * DAY + 3600, allocation_id="B", quantity=Decimal(60), price_per_hour=Decimal(1))
    with at(datetime(2026, 12, 1, 2, tzinfo=UTC)):
        budgets.tick()
    assert "December 2026" in told(people.luis)[-1]


def test_they_are_told_once_that_it_will_not_last(people: People, vision: Team) -> None:
    for day in range(9, 16):
        spend(day, 10)
    with at(NOON):
        budgets.put(vision, Decimal(200), "notify", actor="ada")
        for _ in range(2):
            budgets.tick()
    for days in (1, 2):
        with at(NOON + timedelta(days=days)):
            budgets.tick()
    assert told(people.luis) == [
        "At the rate of the last days, team Vision spends € 215.00 of the budget of € 200.00 for November 2026, "
        "and has used it up on 29 November."
    ]


def test_what_is_new_waits_while_the_budget_is_used_up_and_says_so(
    people: People, vision: Team, make_workspace: Callable[..., Any]
) -> None:
    spend(1, 100)
    small = list(Size.objects.filter(slug="small"))
    with at(NOON):
        budgets.put(vision, Decimal(50), "block_new", actor="ada")
        made = make_workspace()
        other = make_workspace(people.oda)
        assert admission.admit() == [other.allocation_id]
        waiting = Allocation.objects.get(pk=made.allocation_id)
        queue.explain([waiting])
        assert waiting.message == "The budget of team Vision for November is used up. Number 1 in line."
        truth = admission.availability(small, people.vera)["small"]
        assert (truth.state, truth.reason) == ("queue", "The budget of team Vision for November is used up.")
        assert admission.availability(small, people.oda)["small"].state == "now"
        budgets.put(vision, Decimal(500), "block_new", actor="ada")
        assert admission.admit() == [made.allocation_id]


def test_a_new_month_lets_it_begin(people: People, vision: Team, make_workspace: Callable[..., Any]) -> None:
    spend(1, 100)
    with at(NOON):
        budgets.put(vision, Decimal(50), "block_new", actor="ada")
        made = make_workspace()
        assert admission.admit() == []
    with at(datetime(2026, 12, 1, 1, tzinfo=UTC)):
        budgets.tick()
        assert admission.admit() == [made.allocation_id]


def test_only_telling_holds_nothing_back_and_removing_lets_go(
    people: People, vision: Team, make_workspace: Callable[..., Any]
) -> None:
    spend(1, 100)
    with at(NOON):
        budgets.put(vision, Decimal(50), "notify", actor="ada")
        assert len([make_workspace()]) == len(admission.admit())
        budgets.put(vision, Decimal(50), "block_new", actor="ada")
        made = make_workspace()
        assert admission.admit() == []
        for _ in range(2):
            budgets.remove(vision, actor="ada")
        assert admission.admit() == [made.allocation_id]
    assert AuditEvent.objects.filter(verb="budget.remove").count() == 1


@pytest.mark.parametrize("amount", ["0", "-1", "NaN", "Infinity", "1e12"])
def test_nonsense_is_refused(vision: Team, amount: str) -> None:
    with pytest.raises(Invalid):
        budgets.put(vision, Decimal(amount), "notify", actor="ada")
    with pytest.raises(Invalid):
        budgets.put(vision, Decimal(1), "explode", actor="ada")
    assert not Budget.objects.exists()


def test_administrators_set_it_on_the_page_and_leads_see_it(people: People, vision: Team) -> None:
    ada, luis = enter(people.ada), enter(people.luis)
    assert "There is none: nobody is told" in luis.get("/usage/?scope=team:vision").content.decode()
    refused = luis.post("/usage/budgets/vision/", {"amount": "9", "policy": "notify"})
    assert (refused.status_code, "user" in refused.context["form"].errors) == (422, True)
    assert not Budget.objects.exists()
    assert [enter(who).get("/usage/budgets/vision/").status_code for who in (people.vera, people.oda)] == [403, 404]
    for amount in ("", "-1", "NaN", "1e309", "x", "0.001"):
        answer = ada.post("/usage/budgets/vision/", {"amount": amount, "policy": "notify"})
        assert answer.status_code == 422
        assert "amount" in answer.context["form"].errors
    assert ada.post("/usage/budgets/vision/", {"amount": "2000", "policy": "block_new"}).status_code == 302
    page = " ".join(luis.get("/usage/?scope=team:vision").content.decode().split())
    assert "€ 0.00 of € 2,000.00" in page
    assert "it lasts past the month" in page
    number = {"remove": str(Budget.objects.get().pk)}
    assert luis.post("/usage/budgets/vision/", number).status_code == 403
    for post in (number, number, {"remove": "x"}):
        assert ada.post("/usage/budgets/vision/", post).status_code == 302
    assert not Budget.objects.exists()
    assert ada.get("/usage/budgets/none/").status_code == 404
    assert Client().get("/usage/budgets/vision/").status_code == 302


def test_looking_once_a_minute_is_enough(vision: Team, django_assert_num_queries: Any) -> None:
    with at(NOON):
        budgets.put(vision, Decimal(100), "notify", actor="ada")
        with django_assert_num_queries(1):
            budgets.tick()
    with at(NOON + timedelta(minutes=2)):
        budgets.tick()
    assert Budget.objects.filter(checked_at__gt=NOON + timedelta(minutes=1)).exists()


def test_a_person_and_a_project_have_budgets_of_their_own(people: People, vision: Team, settle: Any) -> None:
    spend(1, 30)
    interval(DAY, DAY + 3600, allocation_id="L", quantity=Decimal(40), price_per_hour=Decimal(1), project="leaves")
    interval(DAY, DAY + 3600, allocation_id="B", quantity=Decimal(50), price_per_hour=Decimal(1), user="luis")
    interval(DAY, DAY + 3600, allocation_id="R", quantity=Decimal(60), price_per_hour=Decimal(1), team="risk")
    with at(NOON):
        of_vera = budgets.put(vision, Decimal(100), "notify", user=people.vera, actor="luis")
        of_leaves = budgets.put(vision, Decimal(100), "notify", project="Leaves", actor="luis")
        whole = budgets.put(vision, Decimal(1000), "notify", actor="ada")
        found = [(one.whom, budgets.standing(one).spent.amount) for one in (of_vera, of_leaves, whole)]
    assert found == [
        ("Vera Rosén in team Vision", Decimal(70)),
        ("project leaves of team Vision", Decimal(40)),
        ("team Vision", Decimal(120)),
    ]
    [said] = told(people.vera)
    assert said == "Vera Rosén in team Vision has spent 50 % of the budget of € 100.00 for November 2026."
    assert told(people.luis) == told(people.vera)
    assert told(people.ada) == []


def test_only_what_is_of_it_waits_while_it_is_used_up(
    people: People, vision: Team, make_workspace: Callable[..., Any]
) -> None:
    interval(0, 3600, quantity=Decimal(60), price_per_hour=Decimal(1), project="leaves")
    small = list(Size.objects.filter(slug="small"))
    with at(NOON):
        budgets.put(vision, Decimal(50), "block_new", project="leaves", actor="luis")
        held, other, none = (make_workspace(project=project) for project in ("Leaves", "soil", ""))
        lead = make_workspace(people.luis, project="leaves")
        assert set(admission.admit()) == {other.allocation_id, none.allocation_id}
        waiting = Allocation.objects.get(pk=held.allocation_id)
        queue.explain([waiting])
        why = "The budget of project leaves of team Vision for November is used up."
        assert waiting.message.startswith(why)
        for project, state in (("leaves", "queue"), ("soil", "now"), ("", "now")):
            assert admission.availability(small, people.vera, project=project)["small"].state == state
        assert admission.availability(small, people.vera, project="leaves")["small"].reason == why
        assert admission.availability(small, people.oda, project="leaves")["small"].state == "now"
        budgets.remove(vision, project="leaves", actor="luis")
        assert set(admission.admit()) == {held.allocation_id, lead.allocation_id}
        budgets.put(vision, Decimal(50), "block_new", user=people.vera, actor="luis")
        mine, theirs = make_workspace(), make_workspace(people.luis)
        assert admission.admit() == [theirs.allocation_id]
        assert admission.availability(small, people.vera)["small"].reason.startswith("The budget of Vera Rosén in team")
        budgets.put(vision, Decimal(500), "block_new", user=people.vera, actor="luis")
        assert admission.admit() == [mine.allocation_id]


def test_a_lead_divides_on_the_page_and_each_sees_their_own(people: People, vision: Team) -> None:
    luis, vera, address = enter(people.luis), enter(people.vera), "/usage/budgets/vision/"
    both = {"user": "vera", "project": "leaves", "amount": "20", "policy": "notify"}
    for wrong, field in (
        ({}, "project"),
        ({"user": "oda", "project": ""}, "user"),
        ({"user": "", "project": "a b"}, "project"),
    ):
        answer = luis.post(address, both | wrong)
        assert (answer.status_code, field in answer.context["form"].errors) == (422, True)
    for part in ({"project": ""}, {"user": ""}, {"user": "", "amount": "30"}):
        assert luis.post(address, both | part).status_code == 302
    page = " ".join(luis.get(address).content.decode().split())
    assert "Vera Rosén in team Vision</b>: € 0.00 of € 20.00" in page
    assert "Project leaves of team Vision</b>: € 0.00 of € 30.00" in page
    assert "Vera Rosén in team Vision" in vera.get("/usage/?scope=me").content.decode()
    narrowed = luis.get("/usage/?scope=team:vision&project=leaves").content.decode()
    assert "Project leaves of team Vision" in narrowed and "Vera Rosén in team Vision" not in narrowed
    gone = Budget.objects.get(project="leaves")
    assert luis.post(address, {"remove": str(gone.pk)}).status_code == 302
    assert [one.user for one in Budget.objects.all()] == [people.vera]
