"""What people write into the larger fields of a form, a thing on each line: read, bad lines named, and written.

Whatever is written reads back as the same; text that could be taken for something else stands in quotes.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django import forms

from environments.spec import as_text

MOST_NAMED = 10
_RULE = re.compile(
    r"(?P<then>retry|larger|fail)\s*:\s*"
    r"(?:exit\s+(?P<codes>\d[\d,\s]*?)\s*(?:;\s*|$))?"
    r"(?:reason\s+(?P<reason>\w+)\s*(?:;\s*|$))?"
    r"(?:log\s+(?P<log>.+))?"
)


def parameters_of(text: str) -> dict[str, Any]:
    """`name=value` on each line, as `scalar` reads values. Raises ValidationError naming the bad lines."""
    found: dict[str, Any] = {}
    wrong: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        name, equals, value = (part.strip() for part in line.partition("="))
        if not line.strip():
            continue
        if not equals:
            wrong.append(f"Line {number}: write it as name=value.")
        elif name in found:
            wrong.append(f"Line {number}: {name} is there already.")
        found[name] = scalar(value)
    _complain(wrong)
    return found


def parameters_text(given: Mapping[str, Any]) -> str:
    return as_lines(f"{name}={value_text(value)}" for name, value in given.items())


def scalar(text: str) -> str | int | float | bool:
    """0.001, 1e-3 and 12 are numbers, true and false are yes and no, "12" in quotes is text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text.lower(), _unquoted(text))


def value_text(value: Any) -> str:
    """As `scalar` reads it."""
    if not isinstance(value, str):
        return as_text(value)
    return value if _plain(value) and isinstance(scalar(value), str) else _quoted(value)


def rules_of(text: str) -> list[dict[str, Any]]:
    """`retry: exit 75, 76; reason failed; log some text`, or another Then, on each line.

    Raises ValidationError naming the bad lines.
    """
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    read = [(number, _RULE.fullmatch(line)) for number, line in lines]
    _complain(
        f"Line {number}: write it as “retry: exit 75”, or “fail: log no such column”."
        for number, rule in read
        if not (rule and any(rule.group("codes", "reason", "log")))
    )
    return [_rule(rule) for _, rule in read if rule]


def _rule(found: re.Match[str]) -> dict[str, Any]:
    codes, reason, log = found.group("codes", "reason", "log")
    named = {
        "exit_codes": [int(code) for code in re.findall(r"\d{1,9}", codes or "")],
        "reason": reason,
        "log_contains": log and _unquoted(log),
    }
    return {name: value for name, value in named.items() if value} | {"then": found["then"]}


def rules_text(rules: Sequence[Mapping[str, Any]]) -> str:
    return as_lines(f"{rule['then']}: {'; '.join(_conditions(rule))}" for rule in rules)


def _conditions(rule: Mapping[str, Any]) -> Iterable[str]:
    if "exit_codes" in rule:
        yield f"exit {', '.join(map(str, rule['exit_codes']))}"
    if "reason" in rule:
        yield f"reason {rule['reason']}"
    if "log_contains" in rule:
        text = rule["log_contains"]
        yield f"log {text if _plain(text) else _quoted(text)}"


def as_lines(texts: Iterable[str]) -> str:
    return "\n".join(texts)


def _plain(text: str) -> bool:
    """Whether it is the same when it is read from a line."""
    return text.isprintable() and text == text.strip() and _unquoted(text) == text


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=not text.isprintable())


def _unquoted(text: str) -> str:
    try:
        found = json.loads(text) if text.startswith('"') else text
    except ValueError:
        return text
    return found if isinstance(found, str) else text


def _complain(wrong: Iterable[str]) -> None:
    if sentences := list(wrong)[:MOST_NAMED]:
        raise forms.ValidationError(sentences)


def sent(value: Any, *, lines: bool) -> str:
    """What a browser makes of a value between showing it and sending it back."""
    text = "" if value is None else str(value).replace("\r\n", "\n").replace("\r", "\n")
    return (text if lines else text.replace("\n", "")).strip()
