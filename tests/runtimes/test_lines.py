"""Splitting output into lines: however the bytes arrive, the same lines come out, and none is too long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtimes.lines import CUT_MARK, LIMIT, LineSplitter, Piece


def _pieces(*fed: bytes) -> list[Piece]:
    splitter = LineSplitter()
    return [line for data in fed for line in splitter.feed(data)] + splitter.end()


def _lines(*fed: bytes) -> list[str]:
    return [piece.text for piece in _pieces(*fed)]


@given(st.lists(st.sampled_from([b"a", b"\n", b"\r", b"\r\n", b"\0", b"\xc3", b"\xa4", b"x" * 5000])), st.data())
def test_pieces_do_not_matter(parts: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(parts)
    cut = data.draw(st.integers(0, len(whole)))
    assert _pieces(whole[:cut], whole[cut:]) == _pieces(whole)
    assert all(len(line.encode()) <= LIMIT for line in _lines(whole))


@pytest.mark.parametrize(("length", "cut"), [(LIMIT - 1, False), (LIMIT, False), (LIMIT + 1, True), (10 * LIMIT, True)])
def test_a_line_is_cut_only_beyond_the_limit(length: int, cut: bool) -> None:
    [line] = _lines(b"x" * length + b"\n")
    assert line.endswith(CUT_MARK) is cut
    assert len(line.encode()) == min(length, LIMIT)


def test_a_cut_never_halves_a_character() -> None:
    [line] = _lines("€".encode() * 5000 + b"\n")
    assert set(line.removesuffix(CUT_MARK)) == {"€"}


def test_an_endless_line_is_given_once_and_held_nowhere() -> None:
    splitter = LineSplitter()
    given_lines = [line for _ in range(1000) for line in splitter.feed(b"x" * 65536)]
    assert len(given_lines) == 1
    assert len(splitter._line) <= LIMIT
    assert splitter.feed(b"\nnext\n") == [Piece("next")]


def test_bytes_that_are_no_text_stay_below_the_limit_too() -> None:
    for count in (LIMIT, 2 * LIMIT):
        [line] = _lines(b"\xff" * count + b"\n")
        assert line.endswith(CUT_MARK)
        assert len(line.encode()) <= LIMIT


def test_a_line_end_in_two_pieces_is_one() -> None:
    assert _lines(b"one\r", b"\ntwo\n") == ["one", "two"]
    assert _lines(b"one\r", b"\n", b"\n") == ["one", ""]
    assert _lines(b"\r", b"\n") == _lines(b"\r\n") == [""]


def test_a_line_that_a_return_ended_says_so() -> None:
    assert _pieces(b"\r 1%\r 2%", b"\r", b"done\r\nmore\n") == [
        Piece(" 1%", returned=True),
        Piece(" 2%", returned=True),
        Piece("done"),
        Piece("more"),
    ]
    assert _pieces(b"50%\r") == [Piece("50%", returned=True)]
    assert _pieces(b"one\r", b"\ntwo") == [Piece("one"), Piece("two")]
