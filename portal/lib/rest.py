"""What the shapes of all API answers share: closed input, money, and problems in the schema."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.conf import settings
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from portal.lib.errors import Invalid, Next
from portal.lib.ids import LENGTH

ULID = f"[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{{{LENGTH - 1}}}"
"""An id in a path, in any case."""
ANY_SCOPE = ""
"""As the `resource` of a view: every valid token may read it."""
PROBLEM = "application/problem+json"
NAMED_ERRORS = 20
WHOLE_BODY = "body"
"""Names what is wrong with the body as a whole."""


class AlwaysFirst(BaseContentNegotiation):
    """For views whose own `format` parameter is no renderer's name: no negotiation."""

    def select_parser(self, request: Request, parsers: Sequence[BaseParser]) -> BaseParser:  # type: ignore[override]
        return parsers[0]

    def select_renderer(  # type: ignore[override]
        self, request: Request, renderers: Sequence[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


class Text(serializers.CharField):
    """Text only: a number is refused, not spelled out."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


class ClosedSerializer(serializers.Serializer[Any]):
    """Refuses fields it does not know."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = self._unknown(data) if isinstance(data, Mapping) else {}
        try:
            values = super().to_internal_value(data)
        except serializers.ValidationError as error:
            known = error.detail if isinstance(error.detail, dict) else {}
            raise serializers.ValidationError({**known, **unknown}) from error
        if unknown:
            raise serializers.ValidationError(unknown)
        return values

    def _unknown(self, data: Mapping[str, Any]) -> dict[str, list[str]]:
        names = [name for name in data if name not in self.fields]
        return {name[:60]: [self._refusal(name)] for name in names[:NAMED_ERRORS]}

    def _refusal(self, name: str) -> str:
        return f"There is no field “{name[:60]}” here. Known: {', '.join(self.fields)}."


def checked(shape: type[serializers.Serializer[Any]], data: Any) -> dict[str, Any]:
    """The values of `data`, as `shape` describes them. Raises ValidationError."""
    asked = shape(data=data)
    asked.is_valid(raise_exception=True)
    values: dict[str, Any] = asked.validated_data
    return values


class MoneySerializer(serializers.Serializer[Any]):
    """An exact amount as a string, with its currency."""

    amount = serializers.CharField(help_text="Decimal with four digits, such as `1.2500`.")
    currency = serializers.CharField(help_text="ISO 4217 code, such as `EUR`.")

    def to_representation(self, instance: Any) -> dict[str, str]:
        money: dict[str, str] = instance.as_json()
        return money


class NextSerializer(serializers.Serializer[Any]):
    """What to do now, and the page where."""

    label = serializers.CharField()  # type: ignore[assignment]  # fields are taken off the class
    url = serializers.URLField()

    def to_representation(self, instance: Next) -> dict[str, str]:
        page = instance.url.startswith("/")
        return {
            "label": instance.label,
            "url": f"{settings.PORTAL_URL}{instance.url}" if page else instance.url,
        }


class ProblemSerializer(serializers.Serializer[Any]):
    """Why a request was refused, as RFC 9457 problem details."""

    type = serializers.CharField(help_text="`urn:berth:problem:` and the code.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField(help_text="Stable; what a program should look at.")
    detail = serializers.CharField(help_text="One sentence for a person.")
    errors = serializers.DictField(  # type: ignore[assignment]
        child=serializers.ListField(child=serializers.CharField()),
        help_text="Sentences by field; a field inside another has a dotted name.",
    )
    next = NextSerializer(allow_null=True)


_MEANING = {
    400: "The request is malformed.",
    401: "No token, or one that is unknown, expired or revoked.",
    403: "The token lacks a scope, or its owner the right.",
    404: "It does not exist, or is not yours to know of.",
    409: "It is in a state that does not allow this.",
    422: "Some fields are not valid; `errors` names them.",
    429: "Too many requests; `Retry-After` says when to come back.",
}


def problems(*statuses: int) -> dict[tuple[int, str], OpenApiResponse]:
    """For `responses` of extend_schema: 401, 403 and the given ones."""
    return {
        (s, PROBLEM): OpenApiResponse(ProblemSerializer, description=_MEANING[s]) for s in sorted({401, 403, *statuses})
    }


def invalid(error: serializers.ValidationError) -> Invalid:
    """What a serializer refused, as the field-by-field refusal that actions raise too."""
    fields: dict[str, list[str]] = {}
    for name, sentence in _flat("", error.detail):
        fields.setdefault(name or WHOLE_BODY, []).append(sentence)
    first = next(iter(fields), WHOLE_BODY)
    return Invalid(f"{first}: {fields[first][0]}" if fields else "The request is not valid.", fields=fields)


def _flat(name: str, detail: Any) -> Iterator[tuple[str, str]]:
    """Field and sentence; the field inside another with a dot between."""
    if isinstance(detail, dict):
        for key, inner in detail.items():
            own = name if key == "non_field_errors" else f"{name}.{key}" if name else str(key)
            yield from _flat(own, inner)
    elif isinstance(detail, list):
        for inner in detail:
            yield from _flat(name, inner)
    else:
        yield name, str(detail)


IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="Up to 200 printable characters of your choice. The same request with the same key is done once; "
    "asked again within 24 hours it gets the first answer.",
)


def id_parameter(what: str, name: str = "id") -> OpenApiParameter:
    return OpenApiParameter(
        name, str, OpenApiParameter.PATH, description=f"Id of the {what}, in any case.", pattern=ULID
    )
