"""Expected failures: a code, a sentence, the field and the next step; told to the user, never a traceback."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Next:
    """What to press now."""

    label: str
    url: str


class Problem(Exception):
    """An expected failure. `status` is the HTTP status; `fields` maps a field to its sentences."""

    status = 400
    code = "bad_request"
    title = "That did not work"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        fields: Mapping[str, list[str]] | None = None,
        next_step: Next | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.code
        self.fields = dict(fields or {})
        self.next_step = next_step


class Invalid(Problem):
    status = 422
    code = "invalid"
    title = "Some fields need another look"

    @classmethod
    def field(cls, name: str, sentence: str, *, next_step: Next | None = None) -> "Invalid":
        return cls(sentence, fields={name: [sentence]}, next_step=next_step)


class NotFound(Problem):
    status = 404
    code = "not_found"
    title = "Not found"


class Forbidden(Problem):
    status = 403
    code = "forbidden"
    title = "Not allowed"


class Conflict(Problem):
    status = 409
    code = "conflict"
    title = "Not possible right now"
