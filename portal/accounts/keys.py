"""Public keys: reading what people paste, adding, deleting, and finding whose one is."""

from dataclasses import dataclass
from datetime import timedelta

from django.db import IntegrityError, transaction

from portal.accounts.models import PublicKey, User
from portal.audit.actions import record
from portal.lib import clock, ids
from portal.lib.errors import Invalid, Next, NotFound

LONGEST = 16_384
SMALLEST_RSA = 2048
HOW = "Paste one line as it is in a file such as ~/.ssh/id_ed25519.pub."


@dataclass(frozen=True, slots=True)
class Parsed:
    kind: str
    fingerprint: str
    comment: str


def parse(text: str) -> Parsed:
    """One public key in OpenSSH's or RFC 4716's form. Raises Invalid for `key`."""
    import asyncssh  # here, because it takes a while and most processes never read a key

    if "PRIVATE KEY" in text:
        raise Invalid.field("key", f"This is a private key: never give it away, and make a new one. {HOW}")
    try:
        key = asyncssh.import_public_key(text.strip()[:LONGEST])
    except (asyncssh.KeyImportError, UnicodeEncodeError) as error:
        raise Invalid.field("key", f"This is no public key. {HOW}") from error
    kind = key.get_algorithm()
    if kind.startswith("ssh-dss") or "cert" in kind:
        raise Invalid.field("key", "Keys of this kind are not accepted. Make one with `ssh-keygen -t ed25519`.")
    numbers = getattr(key.pyca_key, "key_size", SMALLEST_RSA)
    if kind.startswith("ssh-rsa") and numbers < SMALLEST_RSA:
        raise Invalid.field("key", f"An RSA key needs {SMALLEST_RSA} bits or more. Better: `ssh-keygen -t ed25519`.")
    return Parsed(kind, key.get_fingerprint(), key.get_comment() or "")


def add(user: User, text: str, name: str = "", *, actor: str) -> PublicKey:
    """The name is the key's comment unless given. Raises Invalid for `key` or `name`."""
    parsed = parse(text)
    name = (name.strip() or parsed.comment.strip() or "key")[:101]
    if len(name) > 100 or not name.isprintable():
        raise Invalid.field("name", "Use 1 to 100 printable characters, such as “laptop”.")
    try:
        with transaction.atomic():
            key = PublicKey.objects.create(user=user, name=name, kind=parsed.kind, fingerprint=parsed.fingerprint)
            record(actor, "key.create", f"key-{key.pk}", after={"name": name, "fingerprint": key.fingerprint})
    except IntegrityError as error:
        raise Invalid.field("key", "This key is in use already: a key opens the door for one person.") from error
    return key


@transaction.atomic
def delete(key: PublicKey, *, actor: str) -> None:
    """After it, the key opens nothing; connections it opened are cut. Deleting twice is no error."""
    gone, _ = PublicKey.objects.filter(pk=key.pk).delete()
    if gone:
        before = {"name": key.name, "fingerprint": key.fingerprint}
        record(actor, "key.delete", f"key-{key.pk}", before=before)


def key_of(user: User, key_id: str) -> PublicKey:
    known = ids.PATTERN.fullmatch(key_id.upper())
    key = PublicKey.objects.filter(user=user, pk=key_id.upper()).first() if known else None
    if key is None:
        raise NotFound("You have no such key.", next_step=Next("Your SSH keys", "/keys/"))
    return key


def by_fingerprint(fingerprint: str) -> PublicKey | None:
    """Of somebody who may sign in."""
    return PublicKey.objects.select_related("user").filter(fingerprint=fingerprint, user__is_active=True).first()


def note_use(key: PublicKey) -> None:
    """Remember the last use, to the minute."""
    now = clock.now()
    if key.last_used_at is None or now - key.last_used_at > timedelta(minutes=1):
        PublicKey.objects.filter(pk=key.pk).update(last_used_at=now)
