"""Random secrets, their digests, and keys derived from the installation's secret key."""

import hashlib
import hmac
import secrets


def new_secret() -> str:
    """256 random bits, safe in a URL."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """SHA-256 in hex. Enough for secrets of 256 random bits, which cannot be guessed offline."""
    return hashlib.sha256(secret.encode()).hexdigest()


def derive(key: str, *parts: str) -> str:
    """A secret for a purpose: HMAC-SHA-256 of the parts under `key`, hex."""
    return hmac.new(key.encode(), "\0".join(parts).encode(), hashlib.sha256).hexdigest()
