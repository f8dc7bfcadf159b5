"""Masking: no line of a secret is seen in a line of a log."""

import pytest

from portal.compute.masking import MASK, masked, needles
from runtimes.lines import CUT_MARK, LIMIT, LineSplitter

KEY = "-----BEGIN KEY-----\nAAAAAAAAAAAA\nBBBBBB\nshort\n-----END KEY-----\n"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("token=hunter2hunter2&x=1", f"token={MASK}&x=1"),
        ("hunter2hunter2hunter2hunter2", f"{MASK}{MASK}"),
        ("nothing here", "nothing here"),
        ("    AAAAAAAAAAAA  ", f"    {MASK}  "),
        ("BBBBBB short", f"{MASK} short"),
        ("-----END KEY-----", MASK),
    ],
)
def test_each_line_of_a_secret_is_hidden(line: str, shown: str) -> None:
    assert masked(line, needles(["hunter2hunter2", KEY, "abc", ""])) == shown


def test_the_longest_is_hidden_first() -> None:
    assert masked("password-of-mine", needles(["password", "password-of-mine"])) == MASK


@pytest.mark.parametrize("length", [7, 500, LIMIT, 3 * LIMIT])
@pytest.mark.parametrize("before", [0, 1, LIMIT - len(CUT_MARK.encode()) - 6, LIMIT - 60])
def test_one_that_the_end_of_a_long_line_cuts_is_hidden_too(length: int, before: int) -> None:
    secret = "".join(chr(33 + n * 7 % 90) for n in range(length))
    [line] = LineSplitter().feed(b" " * before + secret.encode() + b" " * LIMIT + b"\n")
    shown = masked(line.text, needles([secret]))
    assert secret[:6] not in shown
    assert shown.endswith(CUT_MARK)


def test_pieces_of_a_line_are_joined_before_it_is_searched() -> None:
    splitter = LineSplitter()
    lines = [*splitter.feed(b"token=hunter2"), *splitter.feed(b"hunter2\n")]
    assert [masked(line.text, needles(["hunter2hunter2"])) for line in lines] == [f"token={MASK}"]
