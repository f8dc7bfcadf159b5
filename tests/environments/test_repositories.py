"""Addresses and revisions of git repositories."""

import pytest

from environments import repositories
from portal.lib.errors import Invalid


@pytest.mark.parametrize(
    ("address", "folder"),
    [
        ("https://git.example.org/team/churn.git", "churn"),
        ("https://git.example.org:8443/team/churn", "churn"),
        ("https://git.example.org/team/churn/", "churn"),
        ("https://[2001:db8::1]/churn.git", "churn"),
        ("git@git.example.org:vision/churn.git", "churn"),
        ("git@git.example.org:churn.git", "churn"),
        ("ssh://git@git.example.org:2222/vision/churn.git", "churn"),
        ("  https://git.example.org/a.b.git ", "a.b"),
    ],
)
def test_good_addresses_and_the_folder_they_are_cloned_into(address: str, folder: str) -> None:
    assert repositories.url(address) == address.strip()
    assert repositories.folder(address) == folder


@pytest.mark.parametrize(
    "address",
    [
        "http://git.example.org/x.git",
        "git://git.example.org/x.git",
        "file:///etc/passwd",
        "ext::sh -c touch% /tmp/x",
        "/srv/x.git",
        "x.git",
        "https://me:word@git.example.org/x.git",
        "https://token@git.example.org/x.git",
        "ssh://git:word@git.example.org/x.git",
        "ssh://-oProxyCommand=x/y.git",
        "ssh://-x@git.example.org/y.git",
        "-oProxyCommand=x:y.git",
        "--upload-pack=x",
        "git@-x:y.git",
        "git@git.example.org:-y.git",
        "https://git.example.org",
        "https://git.example.org/",
        "https://git.example.org/..",
        "https://git.example.org/.git",
        "https:///x.git",
        "https://git.example.org/x.git?ref=y",
        "https://git.example.org/x.git#main",
        "https://git.example.org:port/x.git",
        "https://git.example.org/x y.git",
        "https://git.example.org/x\n.git",
        "https://git.example.org/x\u202e.git",
        "https://git.example.org\\x.git",
        "https://[::1/x.git",
        "https://git.example.org/" + "x" * 10_000,
    ],
)
def test_bad_addresses_name_their_field(address: str) -> None:
    with pytest.raises(Invalid) as refused:
        repositories.url(address)
    assert list(refused.value.fields) == ["git.url"]


def test_a_password_in_an_address_is_told_where_to_go() -> None:
    with pytest.raises(Invalid, match="keep them as a secret"):
        repositories.url("https://me:word@git.example.org/x.git")


GOOD = ["", "main", " v1.2 ", "feature/x-1", "9fceb02d0ae598e95dc970b74767f19372d61af8", "a@b"]
BAD = [
    "-x",
    "--all",
    "a b",
    "a..b",
    "a~1",
    "a^",
    "a:b",
    "a?",
    "a*",
    "a[",
    "a\\b",
    "@",
    "a@{1}",
    "/a",
    "a/",
    "a//b",
    ".a",
]
WORSE = ["-x", "a/.b", "a.lock", "a.lock/b", "a.", "a\x00", "a\nb", "a\u202e", "x" * 201]


@pytest.mark.parametrize("ref", GOOD)
def test_good_revisions(ref: str) -> None:
    assert repositories.ref(ref, "https://git.example.org/x.git") == ref.strip()


@pytest.mark.parametrize("ref", [*BAD, *WORSE])
def test_revisions_that_git_cannot_have_name_their_field(ref: str) -> None:
    with pytest.raises(Invalid) as refused:
        repositories.ref(ref, "https://git.example.org/x.git")
    assert list(refused.value.fields) == ["git.ref"]


def test_a_revision_needs_a_repository() -> None:
    with pytest.raises(Invalid, match="Name the repository too"):
        repositories.ref("main", "")
