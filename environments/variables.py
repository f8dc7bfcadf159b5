"""Environment variables as people write them: NAME=value, one on each line."""

from collections.abc import Mapping

from django import forms

from environments import checks
from portal.lib.errors import Invalid

MOST_NAMED = 10


def text_of(env: Mapping[str, str]) -> str:
    return "\n".join(f"{name}={value}" for name, value in env.items())


def variables_of(text: str) -> dict[str, str]:
    """Empty lines are skipped. Raises ValidationError naming every bad line."""
    found: dict[str, str] = {}
    wrong: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        name, equals, value = line.partition("=")
        sentence = _refusal(name.strip(), value, equals, found)
        if sentence:
            wrong.append(f"Line {number}: {sentence}")
        found[name.strip()] = value
    if wrong:
        raise forms.ValidationError(wrong[:MOST_NAMED])
    return found


def _refusal(name: str, value: str, equals: str, before: Mapping[str, str]) -> str:
    if not equals:
        return "Write it as NAME=value."
    if name in before:
        return f"{name} is there already."
    try:
        checks.environment({name: value})
    except Invalid as problem:
        return problem.detail
    return ""
