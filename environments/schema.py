"""Parameters of a template: which JSON Schema may describe them, the fields it becomes, what a bad value is told."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema

LONGEST_TEXT = 10_000
ORDER = "x-order"
SECTION = "x-section"
MULTILINE = "multiline"

Schema = Mapping[str, Any]
Path = list[str | int]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,59}")
_ROOT = {"$schema", "type", "title", "description", "properties", "required", "additionalProperties", ORDER}
_COMMON = {"type", "title", "description", "default", "enum", SECTION}
_NUMBER = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
_OF_TYPE = {
    "string": {"minLength", "maxLength", "pattern", "format"},
    "integer": _NUMBER,
    "number": _NUMBER,
    "boolean": set[str](),
}
_TYPE_WORDS = {
    "string": "Must be text.",
    "integer": "Must be a whole number.",
    "number": "Must be a number.",
    "boolean": "Must be true or false.",
}
_SENTENCES = {
    "minimum": "Must be at least {}.",
    "maximum": "Must be at most {}.",
    "exclusiveMinimum": "Must be more than {}.",
    "exclusiveMaximum": "Must be less than {}.",
    "multipleOf": "Must be a multiple of {}.",
    "minLength": "Must have at least {} characters.",
    "maxLength": "Must have at most {} characters.",
    "pattern": "Must look like {}.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One property as a form shows it. kind: text, lines, choice, switch, integer or number; bounds are inclusive."""

    name: str
    kind: str
    label: str
    help: str = ""
    section: str = ""
    required: bool = False
    default: Any = None
    choices: tuple[Any, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    longest: int = LONGEST_TEXT


def completed(schema: Schema) -> dict[str, Any]:
    """As it is published: closed, and with the order of its properties, which a database column does not keep."""
    if not schema:
        return {}
    order = list(schema.get(ORDER, schema.get("properties", {})))
    return {"type": "object", "properties": {}} | dict(schema) | {"additionalProperties": False, ORDER: order}


def parameters_of(schema: Schema) -> list[Parameter]:
    """The fields of a form, in the order of the file."""
    properties: Mapping[str, Schema] = schema.get("properties", {})
    order = [name for name in schema.get(ORDER, []) if name in properties]
    required = schema.get("required", [])
    names = dict.fromkeys([*order, *properties])
    return [_parameter(name, properties[name], name in required) for name in names]


def _parameter(name: str, schema: Schema, required: bool) -> Parameter:
    return Parameter(
        name=name,
        kind=_kind(schema),
        label=str(schema.get("title") or name.replace("_", " ").capitalize()),
        help=str(schema.get("description", "")),
        section=str(schema.get(SECTION, "")),
        required=required,
        default=schema.get("default"),
        choices=tuple(schema.get("enum", ())),
        minimum=schema.get("minimum"),
        maximum=schema.get("maximum"),
        longest=min(int(schema.get("maxLength", LONGEST_TEXT)), LONGEST_TEXT),
    )


def _kind(schema: Schema) -> str:
    if "enum" in schema:
        return "choice"
    if schema.get("format") == MULTILINE:
        return "lines"
    return {"boolean": "switch", "integer": "integer", "number": "number"}.get(str(schema.get("type")), "text")


def refusals(schema: Schema, values: Mapping[str, Any]) -> dict[str, list[str]]:
    """What is wrong with `values`, by parameter ("" for all of them); empty when they are as the schema asks."""
    found: dict[str, list[str]] = {}
    known = schema.get("properties", {})
    for name in schema.get("required", []):
        if name not in values:
            found[name] = ["This is needed."]
    if schema.get("additionalProperties", True) is False:
        for name in values.keys() - known:
            there = f"Known: {', '.join(known)}." if known else "This version has none."
            found[name[:60]] = [f"There is no parameter “{name[:60]}”. {there}"]
    for error in jsonschema.Draft202012Validator(schema).iter_errors(dict(values)):
        if error.path or error.validator not in ("required", "additionalProperties"):
            found.setdefault(".".join(str(part) for part in error.path), []).append(_sentence(error))
    for name, value in values.items():
        if sentence := _unusable(value):
            found.setdefault(name[:60], []).append(sentence)
    return found


def _sentence(error: jsonschema.ValidationError) -> str:
    wanted: Any = error.validator_value
    if error.validator == "enum":
        return f"Choose one of: {', '.join(str(choice) for choice in wanted)}."
    if error.validator == "type":
        return _TYPE_WORDS.get(str(wanted), f"Must be of type {wanted}.")
    known = _SENTENCES.get(str(error.validator))
    return known.format(wanted) if known else f"{error.message[:200]}."


def _unusable(value: Any) -> str:
    """Why no command or variable could hold it, whatever the schema says."""
    match value:
        case str() if len(value) > LONGEST_TEXT:
            return f"Must have at most {LONGEST_TEXT:,} characters."
        case str() if "\0" in value or "{secret}" in value:
            return "Text such as {secret} cannot be used here."
        case float() if not math.isfinite(value):
            return "Use a finite number."
        case dict():
            return next(filter(None, map(_unusable, [*value.keys(), *value.values()])), "")
        case list():
            return next(filter(None, map(_unusable, value)), "")
        case _:
            return ""


def unsupported(schema: Schema) -> Iterator[tuple[Path, str]]:
    """Where `schema` says what no form can show or what JSON Schema does not know, and a sentence about it."""
    for key in schema.keys() - _ROOT:
        yield [key], f"“{key}” is not supported here. Known: {', '.join(sorted(_ROOT))}"
    if schema.get("type", "object") != "object":
        yield ["type"], "must be “object”: parameters have names"
    if schema.get("additionalProperties", False) is not False:
        yield ["additionalProperties"], "parameters that are not described cannot be allowed"
    properties = schema.get("properties", {})
    if not isinstance(properties, Mapping):
        yield ["properties"], "must be a mapping of names to descriptions"
        return
    yield from _unknown_names(schema, properties)
    for name, described in properties.items():
        for path, sentence in _property(name, described):
            yield ["properties", name, *path], sentence


def _unknown_names(schema: Schema, properties: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    for key in ("required", ORDER):
        names = schema.get(key, [])
        if not isinstance(names, list):
            yield [key], "must be a list of names"
            continue
        for name in names:
            if name not in properties:
                yield [key], f"there is no parameter “{name}”"


def _property(name: str, schema: Any) -> Iterator[tuple[Path, str]]:
    if not _NAME.fullmatch(str(name)):
        yield [], f"“{name}” is no name for a parameter: use letters, digits and _, beginning with a letter"
    if not isinstance(schema, Mapping):
        yield [], "must describe the parameter, such as {type: string}"
        return
    kind = schema.get("type")
    if kind not in list(_OF_TYPE) and not ("type" not in schema and "enum" in schema):
        yield ["type"] if kind else [], f"type must be one of {', '.join(_OF_TYPE)}"
        return
    allowed = _COMMON | _OF_TYPE.get(str(kind), set())
    unknown = schema.keys() - allowed
    for key in sorted(unknown):
        yield [key], f"“{key}” is not supported for this parameter. Known: {', '.join(sorted(allowed))}"
    if not unknown:
        yield from _values(schema)


def _values(schema: Schema) -> Iterator[tuple[Path, str]]:
    """Whether the keywords' own values make sense."""
    wrong: list[tuple[Path, str]] = [(list(error.path), error.message[:200]) for error in _meta_errors(schema)]
    yield from wrong
    if wrong:
        return
    if schema.get("format", MULTILINE) != MULTILINE:
        yield ["format"], f"the only format is “{MULTILINE}”"
    if not isinstance(schema.get(SECTION, ""), str):
        yield [SECTION], "must be the title of a section"
    if any(isinstance(choice, (list, dict)) or choice is None for choice in schema.get("enum", [])):
        yield ["enum"], "choices are texts, numbers, true or false"
    if "enum" in schema and not schema["enum"]:
        yield ["enum"], "there must be something to choose from"
    if "default" in schema and not jsonschema.Draft202012Validator(schema).is_valid(schema["default"]):
        yield ["default"], "is not a value that the parameter may have"


def _meta_errors(schema: Schema) -> Iterator[Any]:
    meta = jsonschema.Draft202012Validator.META_SCHEMA
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER  # so that `pattern` must be a regular expression
    yield from jsonschema.Draft202012Validator(meta, format_checker=checker).iter_errors(dict(schema))
