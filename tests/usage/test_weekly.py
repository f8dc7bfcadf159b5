"""The week of a team: told once to its leads, with hand-computed sums, and not before it is over."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.core import mail as django_mail
from django.core.mail import EmailMultiAlternatives

from portal.accounts.actions import add_member
from portal.accounts.models import Role, Team
from portal.lib import clock
from portal.notices.actions import choose_mail
from portal.notices.delivering import deliver_due
from portal.notices.models import Notice
from portal.notices.states import Kind
from portal.usage import weekly
from tests.conftest import People
from tests.usage.test_busy import held

pytestmark = pytest.mark.django_db
MONDAY = datetime(2026, 11, 30, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def told_at(moment: datetime) -> dict[str, str]:
    """By person, what those are told who are told then."""
    Notice.objects.all().delete()
    with clock.shifted(moment - clock.now()):
        weekly.tick()
        weekly.tick()
    return dict(Notice.objects.filter(kind=Kind.WEEK_OVER).values_list("user__username", "text"))


@pytest.fixture
def weeks(people: People) -> None:
    """vera held 2 GPUs for 10 hours last week, luis 1 core across Monday's midnight, and the week before 4 hours."""
    price = Decimal("2.50")
    held(MONDAY - 2 * DAY, MONDAY - 2 * DAY + 10 * HOUR, price=price)
    held(MONDAY - 2 * HOUR, MONDAY + 5 * HOUR, meter="cpu", quantity=1, user="luis", price=price)
    held(MONDAY - 8 * DAY, MONDAY - 8 * DAY + 4 * HOUR, meter="cpu", quantity=1, user="luis", price=price)
    held(MONDAY - 2 * DAY, MONDAY - DAY, team="elsewhere", price=price)


def test_leads_are_told_once_what_it_was_and_who_spent_most(weeks: None) -> None:
    assert told_at(MONDAY + 6 * HOUR) == {
        "luis": "Team Vision spent € 55.00 from 23 Nov 2026 to 29 Nov 2026, 450 % more than the week before. "
        "Most: Vera Rosén € 50.00, Luis Okafor € 5.00. GPUs were held for 20.0 h."
    }
    assert told_at(MONDAY + 6 * DAY) == {}


def test_what_is_everybodys_has_a_name_too(weeks: None) -> None:
    held(MONDAY - DAY, MONDAY, meter="storage", quantity=100, user="", price=Decimal("0.02"))
    [text] = told_at(MONDAY + 6 * HOUR).values()
    assert "Vera Rosén € 50.00, everybody € 48.00, Luis Okafor € 5.00." in text


def test_not_before_monday_at_six_and_later_where_berth_was_down(weeks: None) -> None:
    assert told_at(MONDAY + 6 * HOUR - timedelta(seconds=1)) == {}
    assert set(told_at(MONDAY + 4 * DAY)) == {"luis"}


def test_each_lead_is_told_and_the_next_week_is_another(people: People, weeks: None) -> None:
    add_member(Team.objects.get(slug="vision"), people.oda, Role.LEAD, actor="test")
    assert set(told_at(MONDAY + 6 * HOUR)) == {"luis", "oda"}
    assert told_at(MONDAY + 7 * DAY + 6 * HOUR)["luis"] == (
        "Team Vision spent € 12.50 from 30 Nov 2026 to 6 Dec 2026, 77 % less than the week before. "
        "Most: Luis Okafor € 12.50."
    )


def test_a_week_that_cost_nothing_is_not_told(people: People) -> None:
    assert told_at(MONDAY + 6 * HOUR) == {}


def test_the_mail_draws_the_week_and_lists_it_where_nothing_is_drawn(people: People, weeks: None) -> None:
    people.luis.email = "luis@example.org"
    people.luis.save(update_fields=["email"])
    people.vera.name = "Vera <b>Rosén</b>"
    people.vera.save(update_fields=["name"])
    choose_mail(people.luis, [Kind.WEEK_OVER], actor="luis")
    told_at(MONDAY + 6 * HOUR)
    with clock.shifted(MONDAY + 7 * HOUR - clock.now()):
        deliver_due()
    [mail] = django_mail.outbox
    assert isinstance(mail, EmailMultiAlternatives)
    assert "Spent each day:\n- Mon 23 Nov: € 0.00\n" in mail.body and "- Sat 28 Nov: € 50.00\n" in mail.body
    assert mail.body.endswith("By person:\n- Vera <b>Rosén</b>: € 50.00\n- Luis Okafor: € 5.00\n")
    [drawn] = [str(content) for content, kind in mail.alternatives if kind == "text/html"]
    assert "Vera &lt;b&gt;Rosén&lt;/b&gt;" in drawn and "<b>" not in drawn
    assert drawn.count('width="100%"') == 2 and drawn.count('width="10%"') == 2 and drawn.count("bgcolor") == 4
    assert 'href="http://localhost:8000/usage/?scope=team:vision&amp;period=7"' in drawn
