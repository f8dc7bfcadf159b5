"""The page of the audit record: who may read it, what it finds, and what it answers to nonsense."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from portal.administration import pages
from portal.administration.pages import Change, changes
from portal.audit.actions import record, verify
from portal.audit.models import AuditEvent
from portal.lib import clock
from tests.conftest import People

pytestmark = pytest.mark.django_db
SignIn = Callable[[Any], Client]


def shown(client: Client, **query: Any) -> list[tuple[str, str, str]]:
    answer = client.get("/audit/", query)
    assert answer.status_code == 200
    return [(row.event.actor, row.event.verb, row.event.target) for row in answer.context["rows"]]


def text(client: Client, **query: Any) -> str:
    return " ".join(client.get("/audit/", query).content.decode().split())


def test_only_administrators_read_it(people: People, admin: Client, signed_in: SignIn, client: Client) -> None:
    assert admin.get("/audit/").status_code == 200
    for other in (people.vera, people.luis):
        answer = signed_in(other).get("/audit/")
        assert answer.status_code == 403
        assert "Only administrators read the audit record." in answer.content.decode()
        assert 'href="/audit/"' not in signed_in(other).get("/").content.decode()
    assert client.get("/audit/").url.startswith("/sign-in/")  # type: ignore[attr-defined]
    assert admin.post("/audit/").status_code == 405
    assert '<a href="/audit/" aria-current="page">' in admin.get("/audit/").content.decode()


def test_a_row_says_who_did_what_and_what_differs(admin: Client) -> None:
    record("vera", "workspace.rename", "workspace-1", before={"name": "old", "same": 1}, after={"name": "n", "same": 1})
    page = text(admin, verb="workspace.rename")
    assert '<th scope="row">name</th> <td>old</td> <td>n</td>' in page
    assert "same" not in page
    assert 'href="/audit/?target=workspace-1"' in page


def test_what_differs_is_told_in_words() -> None:
    before = {"a": None, "b": True, "c": [1], "gone": "x", "same": {"k": 1}}
    after = {"a": "", "b": False, "c": {"ä": 2}, "same": {"k": 1}, "new": "y" * 201}
    assert changes(before, after) == [
        Change("a", "none", "empty"),
        Change("b", "yes", "no"),
        Change("c", "[1]", '{"ä": 2}'),
        Change("gone", "x", "—"),
        Change("new", "—", "y" * 200 + "…"),
    ]


def test_markup_in_what_was_noted_is_text(admin: Client) -> None:
    record("<b>", "<i>", '"><script>', after={"<u>": "</table>"})
    page = text(admin, actor="<b>")
    assert "<script>" not in page.replace("<script src", "")
    assert "&lt;/table&gt;" in page


def test_it_finds_by_who_what_and_to_what(admin: Client) -> None:
    for actor, verb, target in [
        ("vera", "box.start", "box-1"),
        ("veracruz", "box.stop", "box-10"),
        ("vera", "boxes", "box-2"),
        ("tick", "box.stop", "box-2_"),
    ]:
        record(actor, verb, target)
    assert [row[2] for row in shown(admin, actor="vera")] == ["box-2", "box-1"]
    assert [row[2] for row in shown(admin, verb="box.")] == ["box-2_", "box-10", "box-1"]
    assert [row[2] for row in shown(admin, verb="box.stop", actor="tick")] == ["box-2_"]
    assert [row[2] for row in shown(admin, target="box-1")] == ["box-1"]
    assert [row[2] for row in shown(admin, target="box-")] == ["box-2_", "box-2", "box-10", "box-1"]
    assert [row[2] for row in shown(admin, target="box_")] == []


def test_days_are_the_readers(admin: Client) -> None:
    with clock.shifted(datetime(2026, 3, 1, 20, tzinfo=UTC) - clock.now()):
        record("vera", "box.start", "box-1")
    same_day = {"since": "2026-03-01", "until": "2026-03-01", "verb": "box."}
    next_day = {"since": "2026-03-02", "until": "2026-03-02", "verb": "box."}
    assert (len(shown(admin, **same_day)), len(shown(admin, **next_day))) == (1, 0)
    admin.cookies["zone"] = "Asia/Kolkata"
    assert (len(shown(admin, **same_day)), len(shown(admin, **next_day))) == (0, 1)


def test_fifty_a_page_and_the_older_ones_behind_a_link(admin: Client) -> None:
    for number in range(101):
        record("vera", "box.start", f"box-{number:03}")
    newest = admin.get("/audit/?verb=box.")
    second = admin.get(f"/audit/?{newest.context['older']}")
    third = admin.get(f"/audit/?{second.context['older']}")
    targets = [[row.event.target for row in answer.context["rows"]] for answer in (newest, second, third)]
    assert [len(page) for page in targets] == [50, 50, 1]
    assert [target for page in targets for target in page] == [f"box-{number:03}" for number in reversed(range(101))]
    assert "Older" not in third.content.decode()
    assert 'href="/audit/?verb=box."' in third.content.decode()


def test_nothing_found_says_how_to_look(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "A user name must be written in full." in text(admin, actor="nobody")
    monkeypatch.setattr(pages, "matching", lambda wanted: AuditEvent.objects.none())  # rows are never deleted
    assert "Nothing is recorded yet" in text(admin)


@pytest.mark.parametrize("field", ["actor", "verb", "target", "since", "until", "before"])
@pytest.mark.parametrize("value", ["\0", "a\0b", "x" * 10_000, "9" * 10_000])
def test_nonsense_is_refused_beside_its_field(admin: Client, field: str, value: str) -> None:
    answer = admin.get("/audit/", {field: value})
    assert answer.status_code == 422
    assert field in answer.context["form"].errors
    assert answer.context["rows"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("since=soon", "since"),
        ("until=2026-02-30", "until"),
        ("since=10000-01-01", "since"),
        ("since=2026-03-02&until=2026-03-01", "until"),
        ("before=0", "before"),
        ("before=9223372036854775808", "before"),
        ("before=1e9", "before"),
    ],
)
def test_days_and_numbers_that_are_none_are_refused(admin: Client, query: str, field: str) -> None:
    answer = admin.get(f"/audit/?{query}")
    assert answer.status_code == 422
    assert field in answer.context["form"].errors


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/Los_Angeles", "UTC"])
def test_the_first_and_the_last_day_of_the_calendar_are_days(admin: Client, zone: str) -> None:
    admin.cookies["zone"] = zone
    assert shown(admin, since="0001-01-01", until="9999-12-31")
    assert not shown(admin, since="9999-12-31")
    assert not shown(admin, until="0001-01-01")


def test_odd_texts_find_nothing(admin: Client) -> None:
    for odd in ("%", "_", "\\", "'", "😀", "؟", "../"):
        assert shown(admin, verb=odd, target=odd, actor=odd) == []
    assert admin.get("/audit/?verb=%FF%FE&unknown=1&actor=a&actor=b").status_code == 200


def test_looking_changes_nothing_and_asks_a_constant_number_of_questions(admin: Client) -> None:
    def questions() -> int:
        with CaptureQueriesContext(
            connection,
        ) as asked:
            admin.get("/audit/?target=box-&verb=box")
        assert not [query for query in asked if not query["sql"].startswith("SELECT")]
        return len(asked)

    record("vera", "box.start", "box-1", after={"size": "small"})
    few = questions()
    for number in range(60):
        record("vera", "box.start", f"box-{number}", before={"size": "small"}, after={"size": "large"})
    assert questions() == few <= 6
    assert verify() == []
