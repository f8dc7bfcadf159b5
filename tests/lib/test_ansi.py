"""Terminal output as segments: colours kept, everything else dropped, whatever the bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.lib.ansi import MOST_SEGMENTS, Segment, plain, segments


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("plain <b>", [("plain <b>", "")]),
        ("a\x1b[31mred\x1b[0m b", [("a", ""), ("red", "ansi-1"), (" b", "")]),
        ("\x1b[1;4;92mok\x1b[22;24mok", [("ok", "ansi-10 ansi-bold ansi-underline"), ("ok", "ansi-10")]),
        ("\x1b[31;44mx\x1b[39;49my", [("x", "ansi-bg-4"), ("y", "")]),
        ("\x1b[32;7mx\x1b[27my", [("x", "ansi-bg-2"), ("y", "ansi-2")]),
        ("\x1b[7mx", [("x", "ansi-bg-7")]),
        ("\x1b[38;5;196mx\x1b[38;2;0;250;0my\x1b[48;5;232mz", [("x", "ansi-9"), ("y", "ansi-10"), ("z", "ansi-bg-0")]),
        ("\x1b[38:5:4mx", [("x", "ansi-4")]),
        ("\x1b[38;5mx\x1b[99999999mx\x1b[38;5;999mx", [("xxx", "")]),
        ("\x1b[2K\x1b[1Aup\x1b]0;title\x07 \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", [("up link", "")]),
        ("a\x07\x08\x9b\x7fb\tc", [("ab\tc", "")]),
        ("cut \x1b[3", [("cut ", "")]),
        ("cut \x1b", [("cut ", "")]),
    ],
)
def test_looks_are_kept_and_other_escapes_dropped(text: str, found: list[tuple[str, str]]) -> None:
    assert segments(text) == [Segment(*one) for one in found]


@given(st.text(alphabet=st.sampled_from("\x1b[]m0123;:?\x07\\aé\x00\x9b ")))
def test_the_text_is_the_same_with_and_without_looks(text: str) -> None:
    joined = "".join(segment.text for segment in segments(text))
    assert joined == plain(text)
    assert "\x1b" not in joined


def test_a_line_of_many_colours_stays_small() -> None:
    bomb = "".join(f"\x1b[3{number % 8}mx" for number in range(1600))
    assert len(segments(bomb)) == MOST_SEGMENTS + 1
    assert sum(len(segment.text) for segment in segments(bomb)) == 1600
