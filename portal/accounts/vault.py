"""Opens and seals what is in Secrets and other sealed rows, and moves all of them to the first key."""

from collections.abc import Iterator

from django.conf import settings
from django.db import transaction

from portal.accounts.models import Sealed, Secret
from portal.audit.actions import record
from portal.lib import sealing
from portal.lib.sealing import Unreadable

_kinds: list[type[Sealed]] = [Secret]


def also(kind: type[Sealed]) -> None:
    """Let the rows of another app be rotated with the secrets."""
    if kind not in _kinds:
        _kinds.append(kind)


def put(secret: Sealed, value: bytes) -> None:
    """Seal `value` into the row with the first key; the caller saves it."""
    key = settings.SECRETS_KEYS[0]
    secret.key_id, secret.sealed = key.id, sealing.seal(key, value, secret.bound_to)


def value_of(secret: Sealed) -> bytes:
    """What is in it. Raises Unreadable."""
    return sealing.unseal(settings.SECRETS_KEYS, secret.key_id, bytes(secret.sealed), secret.bound_to)


def missing_keys() -> list[str]:
    """Ids of keys that stored secrets need and that are not configured."""
    known = [key.id for key in settings.SECRETS_KEYS]
    needed = (kind._default_manager.exclude(key_id__in=known).values_list("key_id", flat=True) for kind in _kinds)
    return sorted({key_id for ids in needed for key_id in ids.distinct().order_by("key_id")})


def waiting() -> int:
    """How many secrets are not sealed with the first key."""
    first = settings.SECRETS_KEYS[0].id
    return sum(kind._default_manager.exclude(key_id=first).count() for kind in _kinds)


def rotate(*, actor: str) -> Iterator[Sealed]:
    """Seal every secret with the first key, each in a transaction of its own: what was interrupted goes on.

    Gives each row that is done. One that cannot be opened stays as it is, and is given with its old `key_id`.
    """
    first, done = settings.SECRETS_KEYS[0].id, 0
    try:
        for kind in _kinds:
            for pk in list(kind._default_manager.exclude(key_id=first).values_list("pk", flat=True)):
                if (secret := _reseal(kind, pk)) is not None:
                    done += secret.key_id == first
                    yield secret
    finally:
        if done:
            record(actor, "secrets.rotate", "secrets", after={"key": first, "count": done})


@transaction.atomic
def _reseal(kind: type[Sealed], pk: str) -> Sealed | None:
    """None when it was deleted meanwhile."""
    secret = kind._default_manager.select_for_update().filter(pk=pk).first()
    if secret is not None:
        try:
            put(secret, value_of(secret))
        except Unreadable:
            return secret
        secret.save(update_fields=["key_id", "sealed"])
    return secret


@transaction.atomic
def delete_unreadable(*, actor: str) -> list[str]:
    """Delete what no configured key opens; their names."""
    rows = [secret for kind in _kinds for secret in kind._default_manager.select_for_update()]
    lost = [secret for secret in rows if not _readable(secret)]
    for secret in lost:
        what = secret._meta.model_name
        record(actor, f"{what}.delete", f"{what}-{secret.pk}", before={"name": str(secret), "unreadable": True})
        secret.delete()
    return [str(secret) for secret in lost]


def _readable(secret: Sealed) -> bool:
    try:
        value_of(secret)
    except Unreadable:
        return False
    return True
