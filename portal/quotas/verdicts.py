"""What a rule says of a request: its conditions, each with the numbers it saw. Plain data, kept on the request."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from portal.quotas.models import QuotaRequest
from portal.quotas.states import RuleMode


@dataclass(frozen=True, slots=True)
class Condition:
    """`words` say what was seen and what is wanted: `3 of at most 2 devices`."""

    words: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """`text` is the rule in words, as it was then; `seen` are its inputs, JSON-able."""

    rule: str
    mode: RuleMode
    text: str
    conditions: Sequence[Condition]
    seen: dict[str, Any] = field(default_factory=dict)

    @property
    def passes(self) -> bool:
        return all(condition.holds for condition in self.conditions)

    def as_data(self) -> dict[str, Any]:
        return {**asdict(self), "passes": self.passes}


Judge = Callable[[QuotaRequest], Sequence[Verdict]]
"""Asks the rules about a request that need not be saved; in their order."""


def nobody(request: QuotaRequest) -> Sequence[Verdict]:
    """No rule is asked."""
    return []


def first(verdicts: Sequence[Verdict], mode: RuleMode) -> Verdict | None:
    """The first of this mode that passes."""
    return next((one for one in verdicts if one.mode == mode and one.passes), None)
