"""How images are named, and what patterns stand for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from environments.image_references import REFERENCE_LENGTH, fits, read

DIGEST = f"@sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("python:3.12", "docker.io/library/python:3.12"),
        ("docker.io/python:3.12-slim", "docker.io/library/python:3.12-slim"),
        ("team/train:V_1", "docker.io/team/train:V_1"),
        (f"team/train{DIGEST}", f"docker.io/team/train{DIGEST}"),
        ("registry.example.org/team/train:2026-11", "registry.example.org/team/train:2026-11"),
        ("registry:5000/train:1", "registry:5000/train:1"),
        ("127.0.0.1:5000/a/b:1", "127.0.0.1:5000/a/b:1"),
        (f" localhost/a:1{DIGEST} ", f"localhost/a:1{DIGEST}"),
    ],
)
def test_a_name_means_what_an_engine_takes_it_for(text: str, meant: str) -> None:
    assert str(read(text)) == meant


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "python",
            "a:",
            "-a:1",
            "a:1 b",
            "a:1\nb",
            "a:é",
            "team/Train:1",
            "a//b:1",
            "a/../b:1",
            "https://a.org/b:1",
        ),
        *("a@sha256:0", f"a:1{DIGEST}0", f"registry.example.org/{'a' * 220}:1"),
    ],
)
def test_what_is_no_name_is_none(text: str) -> None:
    assert read(text) is None


@given(st.text(alphabet="ab.:/@_-*", max_size=40), st.sampled_from(["", ":1", DIGEST, f":1{DIGEST}"]))
def test_what_was_read_reads_as_the_same_and_has_a_short_label(path: str, end: str) -> None:
    found = read(path + end)
    if found is not None:
        assert read(str(found)) == found
        assert len(found.label) <= 40 and len(str(found)) <= REFERENCE_LENGTH


@pytest.mark.parametrize(
    ("pattern", "text", "does"),
    [
        ("r.example.org/team/*", "r.example.org/team/train:1", True),
        ("r.example.org/team/*", f"r.example.org/team/train{DIGEST}", True),
        ("r.example.org/team/*", "r.example.org/team/sub/train:1", False),
        ("r.example.org/team/**", "r.example.org/team/sub/train:1", True),
        ("r.example.org/team/*", "rxexample.org/team/train:1", False),
        ("r.example.org/team/*", "evil.org/r.example.org/team/train:1", False),
        ("docker.io/library/python:3.12*", "docker.io/library/python:3.12-slim", True),
        ("docker.io/library/python:3.12*", "docker.io/library/python:3.1", False),
        ("docker.io/library/python:3.12", "docker.io/library/python:3.12-slim", False),
        ("docker.io/library/python:3.12*", f"docker.io/library/python{DIGEST}", False),
    ],
)
def test_a_star_stands_for_anything_within_a_folder(pattern: str, text: str, does: bool) -> None:
    assert fits([pattern], text) is does
