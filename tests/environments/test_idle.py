"""The cases of docs/explanation/idleness.md, each as what was seen and what the rule makes of it."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings

from environments.idle import WARNING, Rule, Signals, judge
from environments.states import Counted as C
from portal.compute.activity import GAP

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
RULE = Rule(timedelta(minutes=60), timedelta(hours=8))
SUSPENDING = Rule(timedelta(minutes=60), timedelta(hours=8), timedelta(minutes=30))
DOCS = settings.BASE_DIR / "docs" / "explanation" / "idleness.md"


def ago(minutes: float) -> datetime:
    return NOON - timedelta(minutes=minutes)


@dataclass(frozen=True)
class Case:
    """`seen` is minutes before noon; `stops` and `suspends` are minutes after noon, None for never."""

    seen: dict[C, float]
    last: C
    stops: float | None
    rule: Rule = RULE
    asked: float | None = 0.5
    known: float | None = 180
    keep: float | None = None
    suspends: float | None = None


STARTED = {C.STARTED: 180.0}
CASES = {
    "an open tab with nothing running": Case(STARTED | {C.TRAFFIC: 50, C.KERNEL: 55}, C.TRAFFIC, 10),
    "a busy kernel, the browser closed": Case(STARTED | {C.TRAFFIC: 170, C.KERNEL: 0.5}, C.KERNEL, 59.5),
    "a notebook that streams output": Case(STARTED | {C.TRAFFIC: 170, C.KERNEL: 0.1}, C.KERNEL, 59.9),
    "a job in a terminal, however quiet": Case(STARTED | {C.TERMINAL: 0.5}, C.TERMINAL, 59.5),
    "a terminal at its prompt": Case(STARTED | {C.TERMINAL: 59}, C.TERMINAL, 1),
    "typing in VS Code": Case(STARTED | {C.TRAFFIC: 1}, C.TRAFFIC, 59),
    "an open VS Code window, untouched": Case(STARTED | {C.TRAFFIC: 75}, C.TRAFFIC, -15),
    "a task or an extension computing in VS Code": Case(STARTED | {C.TRAFFIC: 120, C.CPU: 0.5}, C.CPU, 59.5),
    "RStudio polling in an open tab": Case(STARTED | {C.TRAFFIC: 58}, C.TRAFFIC, 2),
    "RStudio computing, the browser closed": Case(STARTED | {C.TRAFFIC: 170, C.CPU: 0.5}, C.CPU, 59.5),
    "a web application that is visited": Case(STARTED | {C.TRAFFIC: 0}, C.TRAFFIC, 60),
    "a web application that nobody visits": Case(STARTED, C.STARTED, -120),
    "a busy GPU": Case(STARTED | {C.GPU: 0.5}, C.GPU, 59.5),
    "kept running until a time": Case(STARTED, C.STARTED, 90, keep=90),
    "kept until a time that the rule exceeds": Case(STARTED | {C.KERNEL: 1}, C.KERNEL, 59, keep=30),
    "just started, never opened": Case({C.STARTED: 2}, C.STARTED, 58, known=1.5),
    "it does not answer": Case(STARTED | {C.TRAFFIC: 170}, C.TRAFFIC, None, asked=6),
    "it was never asked": Case(STARTED, C.STARTED, None, asked=None, known=None),
    "it answers again after a gap": Case(STARTED, C.KNOWN, 50, known=10),
    "a template without a rule": Case(STARTED, C.STARTED, None, rule=Rule(None, timedelta(days=7))),
    "suspended by its rule": Case(STARTED | {C.KERNEL: 40}, C.KERNEL, 20, rule=SUSPENDING, suspends=-10),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_rule(case: Case) -> None:
    signals = Signals(
        {what: ago(minutes) for what, minutes in case.seen.items()},
        known_since=None if case.known is None else ago(case.known),
        asked_at=None if case.asked is None else ago(case.asked),
        keep_until=None if case.keep is None else ago(-case.keep),
    )
    verdict = judge(signals, case.rule, NOON)
    assert verdict.last == case.last
    assert verdict.stops_at == (None if case.stops is None else ago(-case.stops))
    assert verdict.suspends_at == (None if case.suspends is None else ago(-case.suspends))
    assert verdict.known == (case.asked is not None and timedelta(minutes=case.asked) <= GAP)


def test_the_documentation_lists_these_cases() -> None:
    text = DOCS.read_text()
    assert [name for name in CASES if f"| {name[0].upper()}{name[1:]} |" not in text] == []


def test_the_tests_that_the_documentation_names_are_there() -> None:
    named = re.findall(r"`(tests/\S+\.py)::(\w+)`", DOCS.read_text())
    assert len(named) >= 14
    files = {path: (settings.BASE_DIR / path).read_text() for path, _ in named}
    assert [f"{path}::{name}" for path, name in named if f"def {name}(" not in files[path]] == []


def test_a_short_rule_warns_at_half_time() -> None:
    assert Rule(timedelta(minutes=4), timedelta(hours=1)).warning == timedelta(minutes=2)
    assert RULE.warning == WARNING
