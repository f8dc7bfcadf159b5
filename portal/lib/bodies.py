"""What a request's body may hold, whatever its format: so many bytes, finite numbers, text that can be stored."""

import math
from collections.abc import Iterator
from typing import Any

from portal.lib.errors import Problem


class TooLarge(Problem):
    status = 413
    code = "too_large"
    title = "Too large"


def unusable(name: str, value: Any) -> Iterator[tuple[str, list[str]]]:
    """Field and sentence of each value that no column could hold."""
    match value:
        case dict():
            for key, inner in value.items():
                if _broken(key):
                    yield name or "body", ["A field's name has a character that text cannot have."]
                else:
                    yield from unusable(f"{name}.{key[:60]}" if name else key[:60], inner)
        case list():
            for inner in value:
                yield from unusable(name, inner)
        case float() if not math.isfinite(value):
            yield name or "body", ["Use a finite number."]
        case str() if _broken(value):
            yield name or "body", ["This has a character that text cannot have."]


def _broken(text: str) -> bool:
    return "\0" in text or any("\ud800" <= character <= "\udfff" for character in text)
