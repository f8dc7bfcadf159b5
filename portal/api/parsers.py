"""Reads JSON bodies; numbers without an end and text that cannot be stored are refused by name."""

import json
from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.parsers import JSONParser

from portal.lib.bodies import TooLarge, unusable

LARGEST = 1024 * 1024


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
            errors = dict(unusable("", data))
        except ValueError as error:
            raise ParseError(f"The body is not JSON: {error}") from error
        except RecursionError as error:
            raise ParseError("The body is nested too deeply.") from error
        if errors:
            raise ValidationError(errors)
        return data
