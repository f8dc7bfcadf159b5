"""Sealing: what goes in comes out, under the right key and for the right row alone."""

import base64

import pytest

from portal.lib import sealing
from portal.lib.sealing import Unreadable

ONE, TWO = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))


def test_what_was_sealed_can_be_opened_by_the_key_of_that_name_only() -> None:
    [first, second, _] = keys = sealing.keys(f"new:{ONE},old:{TWO}", "installation")
    sealed = sealing.seal(second, b"hunter2hunter2", "row-1")
    assert b"hunter2" not in sealed
    assert sealing.unseal(keys, "old", sealed, "row-1") == b"hunter2hunter2"
    for known, key_id in ((keys, "new"), ((first,), "old"), ((), "old")):
        with pytest.raises(Unreadable):
            sealing.unseal(known, key_id, sealed, "row-1")


@pytest.mark.parametrize("place", [0, 11, 12, 20, -1])
def test_one_changed_bit_is_noticed(place: int) -> None:
    [key] = sealing.keys("", "installation")
    sealed = bytearray(sealing.seal(key, b"hunter2hunter2", "row-1"))
    sealed[place] ^= 1
    with pytest.raises(Unreadable):
        sealing.unseal([key], key.id, bytes(sealed), "row-1")


def test_it_cannot_be_moved_to_another_row_nor_cut() -> None:
    [key] = sealing.keys("", "installation")
    sealed = sealing.seal(key, b"hunter2hunter2", "row-1")
    for data, bound_to in ((sealed, "row-2"), (sealed[:12], "row-1"), (b"", "row-1")):
        with pytest.raises(Unreadable):
            sealing.unseal([key], key.id, data, bound_to)


def test_the_same_text_never_seals_to_the_same_bytes() -> None:
    [key] = sealing.keys("", "installation")
    assert len({sealing.seal(key, b"same", "row") for _ in range(100)}) == 100


def test_without_configured_keys_there_is_one_that_names_its_installation() -> None:
    [mine], [theirs] = sealing.keys("", "mine"), sealing.keys("", "theirs")
    assert mine.id != theirs.id
    assert mine.secret != theirs.secret
    assert sealing.keys(f"one:{ONE}\n", "mine")[1] == mine


@pytest.mark.parametrize(
    "text",
    ["nothing", ":" + ONE, "a b:" + ONE, f"one:{ONE[:-8]}", "one:!!!", f"one:{ONE},one:{TWO}", "x" * 41 + ":" + ONE],
)
def test_bad_keys_are_refused_without_being_told(text: str) -> None:
    with pytest.raises(ValueError) as refused:
        sealing.keys(text, "installation")
    assert ONE[:20] not in str(refused.value)


def test_a_key_is_not_shown_where_settings_are() -> None:
    [key, _] = sealing.keys(f"one:{ONE}", "installation")
    assert repr(key) == "Key(id='one')"
