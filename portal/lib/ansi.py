"""What a program wrote for a terminal: text with its colours and weights as classes; every other escape is dropped."""

import re
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

MOST_SEGMENTS = 200
"""A line with more goes on without colours: no log makes a page of a million elements."""

_ESCAPE = re.compile(
    r"\x1b\[(?P<style>[0-9;:]*)m"
    r"|\x1b\[[0-?]*[ -/]*[@-~]?"  # moving, erasing
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # titles, links, images
    r"|\x1b[ -/]*[0-~]?"
    r"|[\x00-\x08\x0a-\x1f\x7f-\x9f]"
)
_MOST_CODES = 32
_WHITE = 7
_PALETTE = (
    *((0, 0, 0), (205, 0, 0), (0, 205, 0), (205, 205, 0), (0, 0, 238), (205, 0, 205), (0, 205, 205), (229, 229, 229)),
    *((127, 127, 127), (255, 0, 0), (0, 255, 0), (255, 255, 0), (92, 92, 255), (255, 0, 255), (0, 255, 255)),
    (255, 255, 255),
)
_LEVELS = (0, 95, 135, 175, 215, 255)


class Segment(NamedTuple):
    """A piece of a line, and the classes of its looks, separated by blanks."""

    text: str
    classes: str


def plain(text: str) -> str:
    return _ESCAPE.sub("", text)


def segments(text: str) -> list[Segment]:
    """The line without escapes, in pieces of one look each."""
    style, found, end = _Style(), list[Segment](), 0
    for match in _ESCAPE.finditer(text):
        _add(found, text[end : match.start()], style)
        end = match.end()
        if len(found) >= MOST_SEGMENTS:
            return [*found, Segment(plain(text[end:]), "")]
        if match["style"] is not None:
            style = _styled(style, _codes(match["style"]))
    _add(found, text[end:], style)
    return found


def _add(found: list[Segment], text: str, style: "_Style") -> None:
    classes = style.classes
    if found and found[-1].classes == classes:
        found[-1] = Segment(found[-1].text + text, classes)
    elif text:
        found.append(Segment(text, classes))


@dataclass(frozen=True, slots=True)
class _Style:
    """Colours are 0 to 15, or None for the usual one."""

    colour: int | None = None
    ground: int | None = None
    inverse: bool = False
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: bool = False
    strike: bool = False

    @property
    def classes(self) -> str:
        ground = (_WHITE if self.colour is None else self.colour) if self.inverse else self.ground
        named = {f"ansi-bg-{ground}": ground is not None, f"ansi-{self.colour}": ground is None is not self.colour}
        for name in ("bold", "dim", "italic", "underline", "strike"):
            named[f"ansi-{name}"] = getattr(self, name)
        return " ".join(name for name, is_on in named.items() if is_on)


_CHANGES: dict[int, dict[str, Any]] = {
    1: {"bold": True},
    2: {"dim": True},
    3: {"italic": True},
    4: {"underline": True},
    7: {"inverse": True},
    9: {"strike": True},
    22: {"bold": False, "dim": False},
    23: {"italic": False},
    24: {"underline": False},
    27: {"inverse": False},
    29: {"strike": False},
    39: {"colour": None},
    49: {"ground": None},
}


def _codes(parameters: str) -> list[int]:
    """Nothing means 0; what is longer than any code is none."""
    parts = parameters.replace(":", ";").split(";")[:_MOST_CODES]
    return [int(one or 0) if len(one) <= 3 else -1 for one in parts]


def _styled(style: _Style, codes: list[int]) -> _Style:
    while codes:
        code, *codes = codes
        if code == 0:
            style = _Style()
        elif code in (38, 48):
            colour, codes = _mixed(codes)
            style = replace(style, colour=colour) if code == 38 else replace(style, ground=colour)
        elif code in _CHANGES:
            style = replace(style, **_CHANGES[code])
        else:
            style = _coloured(style, code)
    return style


def _coloured(style: _Style, code: int) -> _Style:
    tens, number = code // 10 * 10, code % 10
    if tens in (30, 90) and number < 8:
        return replace(style, colour=number if tens == 30 else number + 8)
    if tens in (40, 100) and number < 8:
        return replace(style, ground=number if tens == 40 else number + 8)
    return style


def _mixed(codes: list[int]) -> tuple[int | None, list[int]]:
    """The nearest of the sixteen, and the codes behind: `5;number` or `2;red;green;blue`."""
    if codes[:1] == [5] and len(codes) > 1:
        return _of_256(codes[1]), codes[2:]
    if codes[:1] == [2] and len(codes) > 3:
        return _nearest(codes[1], codes[2], codes[3]), codes[4:]
    return None, []


def _of_256(number: int) -> int | None:
    if number < 16 or number > 255:
        return number if 0 <= number < 16 else None
    if number >= 232:
        return _nearest(*(3 * (8 + 10 * (number - 232),)))
    number -= 16
    return _nearest(_LEVELS[number // 36], _LEVELS[number // 6 % 6], _LEVELS[number % 6])


@cache
def _of_rgb(rgb: tuple[int, int, int]) -> int:
    def distance(index: int) -> int:
        return sum((one - other) ** 2 for one, other in zip(_PALETTE[index], rgb, strict=True))

    return min(range(16), key=distance)


def _nearest(*rgb: int) -> int:
    red, green, blue = (max(0, min(255, part)) // 16 * 17 for part in rgb)
    return _of_rgb((red, green, blue))
