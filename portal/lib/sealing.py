"""Sealing: AES-256-GCM under keys that have names, bound to what the sealed bytes belong to."""

import base64
import binascii
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from portal.lib.crypto import derive

KEY_BYTES = 32
NONCE_BYTES = 12
KEY_ID = re.compile(r"[A-Za-z0-9_.-]{1,40}")


class Unreadable(Exception):
    """No key that is known opens it, or it was changed since it was sealed."""


@dataclass(frozen=True, slots=True)
class Key:
    id: str
    secret: bytes = field(repr=False)


def keys(configured: str, installation: str) -> tuple[Key, ...]:
    """The keys of a list such as `2026:base64,2025:base64`; the first one seals.

    The last one is derived from the installation's own key, so that without any configured there is one.
    Raises ValueError, which never tells a key.
    """
    found = [_key(entry) for entry in re.split(r"[,\s]+", configured.strip()) if entry]
    if len({key.id for key in found}) < len(found):
        raise ValueError("two keys have the same id")
    derived = f"derived-{derive(installation, 'secrets', 'id')[:8]}"
    return (*found, Key(derived, bytes.fromhex(derive(installation, "secrets", "key"))))


def _key(entry: str) -> Key:
    name, colon, text = entry.partition(":")
    if not colon or not KEY_ID.fullmatch(name):
        raise ValueError("write each key as id:base64; an id is up to 40 letters, digits, '_', '.' and '-'")
    try:
        secret = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError(f"the key {name} is not base64") from None
    if len(secret) != KEY_BYTES:
        raise ValueError(f"the key {name} must be {KEY_BYTES} bytes")
    return Key(name, secret)


def seal(key: Key, plain: bytes, bound_to: str) -> bytes:
    """A fresh nonce and the sealed bytes; only together with the same `bound_to` can they be opened."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(key.secret).encrypt(nonce, plain, bound_to.encode())


def unseal(known: Sequence[Key], key_id: str, sealed: bytes, bound_to: str) -> bytes:
    """What was sealed. Raises Unreadable."""
    key = next((key for key in known if key.id == key_id), None)
    if key is None:
        raise Unreadable(f"The key {key_id} is not configured.")
    try:
        return AESGCM(key.secret).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to.encode())
    except (InvalidTag, ValueError):
        raise Unreadable("It was not sealed for this, or was changed since.") from None
