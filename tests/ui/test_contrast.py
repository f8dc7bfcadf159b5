"""Text is readable in both themes: every pair of text and ground in the tokens has at least 4.5:1."""

import re
from pathlib import Path

import pytest

TOKENS = (Path(__file__).resolve().parents[2] / "static" / "css" / "tokens.css").read_text()
STYLE = (Path(__file__).resolve().parents[2] / "static" / "css" / "berth.css").read_text()
PAIRS = [
    *[(text, ground) for text in ("ink", "ink-strong", "muted") for ground in ("ground", "surface", "raised")],
    ("accent", "surface"),
    ("accent", "ground"),
    ("accent-strong", "tint"),
    ("accent-ink", "accent"),
    ("accent-ink", "accent-strong"),
    ("danger", "surface"),
    ("danger-ink", "danger"),
    *[("ink", f"{kind}-tint") for kind in ("danger", "success", "warning")],
    ("ink", "tint"),
    ("log-ink", "log-ground"),
    ("log-muted", "log-ground"),
    ("log-accent", "log-ground"),
    *[(f"ansi-{number}", "log-ground") for number in range(16)],
]


def colour(token: str, theme: int) -> str:
    match = re.search(rf"--{token}: (?:light-dark\((#\w+), (#\w+)\)|(#\w+));", TOKENS)
    assert match, token
    return match[3] or match[1 + theme]


def luminance(code: str) -> float:
    digits = code[1:] if len(code) == 7 else "".join(2 * digit for digit in code[1:])
    channels = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_text_is_readable(text: str, ground: str, theme: int) -> None:
    assert contrast(colour(text, theme), colour(ground, theme)) >= 4.5


def test_letters_on_tiles_are_readable() -> None:
    tiles = re.findall(r"\.tile-\w+ \{ background: (#\w+); \}", STYLE)
    assert len(tiles) >= 5
    assert all(contrast("#ffffff", tile) >= 4.5 for tile in tiles)


def test_contrast_of_black_and_white_is_21() -> None:
    assert round(contrast("#000", "#ffffff"), 2) == 21
