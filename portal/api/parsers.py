"""Reads JSON bodies; numbers without an end and text that cannot be stored are refused by name."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.parsers import JSONParser

from portal.lib.errors import Problem

LARGEST = 1024 * 1024


class TooLarge(Problem):
    status = 413
    code = "too_large"
    title = "Too large"


class Json(JSONParser):
    """At most LARGEST bytes. Raises ParseError for what is no JSON, ValidationError for values nothing could hold."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        text = stream.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise TooLarge(f"A body has at most {LARGEST:,} bytes.")
        try:
            data = json.loads(text.decode())
            errors = dict(_unusable("", data))
        except ValueError as error:
            raise ParseError(f"The body is not JSON: {error}") from error
        except RecursionError as error:
            raise ParseError("The body is nested too deeply.") from error
        if errors:
            raise ValidationError(errors)
        return data


def _unusable(name: str, value: Any) -> Iterator[tuple[str, list[str]]]:
    """Field and sentence of each value that no column could hold."""
    match value:
        case dict():
            for key, inner in value.items():
                if _broken(key):
                    yield name or "body", ["A field's name has a character that text cannot have."]
                else:
                    yield from _unusable(f"{name}.{key[:60]}" if name else key[:60], inner)
        case list():
            for inner in value:
                yield from _unusable(name, inner)
        case float() if not math.isfinite(value):
            yield name or "body", ["Use a finite number."]
        case str() if _broken(value):
            yield name or "body", ["This has a character that text cannot have."]


def _broken(text: str) -> bool:
    return "\0" in text or any("\ud800" <= character <= "\udfff" for character in text)
