"""Parameters: which schemas are refused, which fields they become, and what bad values are told."""

from typing import Any

import pytest

from environments.schema import LONGEST_TEXT, completed, parameters_of, refusals, unsupported

GOOD = {
    "required": ["folder"],
    "properties": {
        "theme": {"enum": ["light", "dark"], "default": "light", "title": "Theme"},
        "rounds": {"type": "integer", "minimum": 1, "maximum": 100, "x-section": "Training"},
        "rate": {"type": "number", "exclusiveMinimum": 0, "multipleOf": 0.5, "description": "How fast."},
        "exact": {"type": "boolean", "default": True},
        "folder": {"type": "string", "minLength": 2, "maxLength": 20, "pattern": "^[a-z]+$"},
        "notes": {"type": "string", "format": "multiline"},
    },
}


def test_a_good_schema_is_supported_and_stays_so_when_it_is_completed() -> None:
    assert list(unsupported(GOOD)) == []
    assert list(unsupported(completed(GOOD))) == []
    assert completed(completed(GOOD)) == completed(GOOD)
    assert list(unsupported({})) == []
    assert completed({}) == {}


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({"oneOf": []}, ["oneOf"]),
        ({"type": "array"}, ["type"]),
        ({"additionalProperties": True}, ["additionalProperties"]),
        ({"properties": []}, ["properties"]),
        ({"required": ["nope"]}, ["required"]),
        ({"required": "nope"}, ["required"]),
        ({"x-order": ["nope"]}, ["x-order"]),
    ],
)
def test_what_no_form_can_show_is_refused_with_its_place(schema: dict[str, Any], path: list[str]) -> None:
    assert [where for where, _sentence in unsupported(schema)] == [path]


@pytest.mark.parametrize(
    ("described", "key"),
    [
        ({"type": "array"}, "type"),
        ({"type": ["string", "null"]}, "type"),
        ({}, None),
        ("text", None),
        ({"type": "string", "oneOf": []}, "oneOf"),
        ({"type": "string", "$ref": "#/x"}, "$ref"),
        ({"type": "string", "minimum": 1}, "minimum"),
        ({"type": "integer", "minLength": 1}, "minLength"),
        ({"type": "integer", "minimum": "1"}, "minimum"),
        ({"type": "string", "pattern": "["}, "pattern"),
        ({"type": "string", "maxLength": -1}, "maxLength"),
        ({"type": "string", "format": "email"}, "format"),
        ({"type": "string", "x-section": 5}, "x-section"),
        ({"type": "string", "title": 5}, "title"),
        ({"type": "string", "enum": []}, "enum"),
        ({"enum": [["a"]]}, "enum"),
        ({"type": "integer", "default": "x"}, "default"),
        ({"enum": ["a"], "default": "b"}, "default"),
    ],
)
def test_a_property_that_cannot_be_a_field_is_refused_with_its_place(described: Any, key: str | None) -> None:
    found = list(unsupported({"properties": {"x": described}}))
    assert [where for where, _sentence in found] == [["properties", "x", *([key] if key else [])]]


@pytest.mark.parametrize("name", ["1x", "a-b", "a b", "", "x" * 61, "a.b"])
def test_names_of_parameters_are_plain(name: str) -> None:
    assert [where for where, _ in unsupported({"properties": {name: {"type": "string"}}})] == [["properties", name]]


def test_properties_become_fields_in_the_order_of_the_file() -> None:
    shuffled = completed(GOOD) | {"properties": dict(sorted(GOOD["properties"].items()))}  # type: ignore[attr-defined]
    found = parameters_of(shuffled)
    assert [(one.name, one.kind) for one in found] == [
        ("theme", "choice"),
        ("rounds", "integer"),
        ("rate", "number"),
        ("exact", "switch"),
        ("folder", "text"),
        ("notes", "lines"),
    ]
    theme, rounds, rate, exact, folder, notes = found
    assert (theme.label, theme.choices, theme.default) == ("Theme", ("light", "dark"), "light")
    assert (rounds.label, rounds.section, rounds.minimum, rounds.maximum) == ("Rounds", "Training", 1, 100)
    assert (rate.help, exact.default, folder.required, folder.longest) == ("How fast.", True, True, 20)
    assert notes.longest == LONGEST_TEXT


def test_good_values_are_not_refused() -> None:
    values = {"theme": "dark", "rounds": 100, "rate": 1.5, "exact": False, "folder": "eda", "notes": "a\nb"}
    assert refusals(completed(GOOD), values) == {}


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("theme", "pink", "Choose one of: light, dark."),
        ("rounds", 0, "Must be at least 1."),
        ("rounds", 10**400, "Must be at most 100."),
        ("rounds", 1.5, "Must be a whole number."),
        ("rounds", True, "Must be a whole number."),
        ("rounds", "7", "Must be a whole number."),
        ("rate", 0, "Must be more than 0."),
        ("rate", 0.7, "Must be a multiple of 0.5."),
        ("rate", "fast", "Must be a number."),
        ("exact", "yes", "Must be true or false."),
        ("folder", "a", "Must have at least 2 characters."),
        ("folder", "a" * 21, "Must have at most 20 characters."),
        ("folder", "A b", "Must look like ^[a-z]+$."),
        ("folder", 5, "Must be text."),
        ("notes", "x" * 10_001, "Must have at most 10,000 characters."),
        ("notes", "{secret}", "Text such as {secret} cannot be used here."),
        ("notes", "\0", "Text such as {secret} cannot be used here."),
        ("other", 1, "There is no parameter “other”. Known: theme, rounds, rate, exact, folder, notes."),
    ],
)
def test_a_bad_value_is_told_what_it_must_be(name: str, value: Any, sentence: str) -> None:
    assert refusals(completed(GOOD), {"folder": "eda"} | {name: value}) == {name: [sentence]}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_numbers_without_an_end_are_refused(value: float) -> None:
    free = {"properties": {"x": {"type": "number"}}}
    assert refusals(free, {"x": value}) == {"x": ["Use a finite number."]}


def test_all_that_is_wrong_is_told_at_once() -> None:
    assert set(refusals(completed(GOOD), {"rounds": 0, "theme": "pink", "z": 1})) == {"folder", "rounds", "theme", "z"}
