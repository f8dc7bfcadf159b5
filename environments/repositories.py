"""Addresses and revisions of git repositories: what may be cloned into a home, and what its folder is called."""

import re
from urllib.parse import urlsplit

from portal.lib.errors import Invalid

URL_LENGTH = 500
REF_LENGTH = 200
_SHORT = re.compile(r"(?P<user>[A-Za-z0-9_][A-Za-z0-9._-]*)@(?P<host>[A-Za-z0-9][A-Za-z0-9.-]*):(?P<path>[^/\s-].*)")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:.]+\]")
_BAD_IN_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)|\.$|/$")
_FORMS = "Write https://host/path.git, git@host:path.git or ssh://git@host/path.git."


def url(text: str) -> str:
    """Trimmed. Raises Invalid for what is no https or ssh address, or carries a password."""
    text = text.strip()
    if not text:
        return ""
    if len(text) > URL_LENGTH:
        raise _bad_url(f"An address has at most {URL_LENGTH} characters.")
    if not text.isprintable() or re.search(r"[\s\\]", text) or text.startswith("-"):
        raise _bad_url(f"There are characters in it that no address has. {_FORMS}")
    if not _SHORT.fullmatch(text):
        _check_long(text)
    if folder(text) in ("", ".", ".."):
        raise _bad_url(f"The address does not say which repository. {_FORMS}")
    return text


def _check_long(text: str) -> None:
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - raises ValueError for a bad port
    except ValueError:
        raise _bad_url(f"This is not the address of a repository. {_FORMS}") from None
    user, _, host = parts.netloc.rpartition("@")
    if parts.scheme not in ("https", "ssh") or not _HOST.fullmatch(re.sub(r":\d*$", "", host)):
        raise _bad_url(f"This is not the address of a repository. {_FORMS}")
    if parts.query or parts.fragment:
        raise _bad_url("An address of a repository has no ? or #. Put the branch in its own field.")
    if ":" in user or (user and parts.scheme == "https"):
        raise _bad_url("Leave name and password out of the address: keep them as a secret, where nobody reads them.")
    if user.startswith("-"):
        raise _bad_url(f"This is not the address of a repository. {_FORMS}")


def ref(text: str, of: str) -> str:
    """A branch, tag or commit of the repository `of`, trimmed. Raises Invalid for what git cannot name so."""
    text = text.strip()
    if text and not of:
        raise Invalid.field("git.ref", "Name the repository too, or leave this empty.")
    if len(text) > REF_LENGTH:
        raise Invalid.field("git.ref", f"At most {REF_LENGTH} characters.")
    wrong = _BAD_IN_REF.search(text) or text.startswith(("-", "/", ".")) or text == "@" or not text.isprintable()
    if text and wrong:
        raise Invalid.field("git.ref", "Git has no branch, tag or commit of this name. Try one such as “main”.")
    return text


def folder(address: str) -> str:
    """What `git clone` calls the folder: the last part of the path, without `.git`."""
    last = re.split(r"[/:]", address.strip().rstrip("/"))[-1] if re.search(r"[^/:][/:][^/]", address) else ""
    return last.removesuffix(".git")


def _bad_url(sentence: str) -> Invalid:
    return Invalid.field("git.url", sentence)
