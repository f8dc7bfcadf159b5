"""Writes to secrets: add, replace, delete. What is in them goes in, and never comes out here."""

from dataclasses import dataclass, field

from django.db import IntegrityError, transaction

from portal.accounts import vault
from portal.accounts.access import team_led_by
from portal.accounts.models import Secret, SecretKind, User
from portal.audit.actions import record
from portal.lib import clock, variables
from portal.lib.errors import Invalid, Next, NotFound

LARGEST = 64 * 1024
MOST = 200
"""Secrets of one person or team."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSecret:
    """As it was asked, unchecked. Without a team it is personal; `variable` also sets it as a variable."""

    name: str
    value: str = field(repr=False)
    kind: str = SecretKind.VALUE
    team: str | None = None
    variable: bool = False


@transaction.atomic
def add(user: User, new: NewSecret, *, actor: str) -> Secret:
    """Raises Invalid naming the field of `new`."""
    team = team_led_by(user, new.team) if new.team else None
    secret = Secret(owner=None if team else user, team=team, name=_name(new.name), kind=_kind(new.kind))
    secret.variable, secret.changed_by = _variable(secret.kind, new.variable), user.username
    if Secret.objects.filter(owner=secret.owner, team=team).count() >= MOST:
        raise Invalid.field("name", f"There are {MOST} already. Delete one that nothing uses.")
    vault.put(secret, _value(secret.kind, new.value))
    try:
        with transaction.atomic():
            secret.save(force_insert=True)
    except IntegrityError:
        whose = f"{team.name} has" if team else "You have"
        sentence = f"{whose} a secret called {secret.name} already. Replace its value instead."
        raise Invalid.field("name", sentence) from None
    record(actor, "secret.add", _target(secret), after=_facts(secret))
    return secret


@transaction.atomic
def replace(secret: Secret, *, value: str | None = None, variable: bool | None = None, actor: str) -> Secret:
    """Another value, or another way to deliver it; containers that start from now on get it. Raises Invalid."""
    row = Secret.objects.select_for_update(of=("self",)).select_related("team").filter(pk=secret.pk).first()
    if row is None:
        raise NotFound(f"{secret.name} was deleted meanwhile.", next_step=Next("Your secrets", "/secrets/"))
    before = _facts(row)
    if variable is not None:
        row.variable = _variable(row.kind, variable)
    if value is not None:
        vault.put(row, _value(row.kind, value))
    row.changed_at, row.changed_by = clock.now(), actor
    row.save(update_fields=["variable", "key_id", "sealed", "changed_at", "changed_by"])
    record(actor, "secret.replace", _target(row), before=before, after={**_facts(row), "value": value is not None})
    return row


@transaction.atomic
def delete(secret: Secret, *, actor: str) -> None:
    """Workspaces that used it start without it. Deleting twice is no error."""
    count, _ = Secret.objects.filter(pk=secret.pk).delete()
    if count:
        record(actor, "secret.delete", _target(secret), before=_facts(secret))


def _target(secret: Secret) -> str:
    return f"secret-{secret.pk}"


def _facts(secret: Secret) -> dict[str, object]:
    team = secret.team.slug if secret.team else None
    return {"name": secret.name, "kind": secret.kind, "team": team, "variable": secret.variable}


def _name(name: str) -> str:
    if not variables.allowed(name):
        raise Invalid.field(
            "name",
            "Use up to 100 letters, digits and “_”, no digit first, such as HF_TOKEN. Names that begin with "
            f"{', '.join(variables.RESERVED)} and a few like UID are taken.",
        )
    return name


def _kind(kind: str) -> str:
    if kind not in SecretKind.values:
        raise Invalid.field("kind", f"Choose one of: {', '.join(SecretKind.values)}.")
    return kind


def _variable(kind: str, wanted: bool) -> bool:
    if wanted and kind == SecretKind.SSH_KEY:
        raise Invalid.field("variable", "An SSH key is delivered as a file only.")
    return wanted


def _value(kind: str, text: str) -> bytes:
    """With plain line ends, whatever a form or an editor made of them; ssh insists on one at the end of a key."""
    text = text.replace("\r\n", "\n")
    if kind == SecretKind.SSH_KEY:
        text = text.strip() + "\n"
        if not text.startswith("-----BEGIN ") or "PRIVATE KEY-----" not in text.partition("\n")[0]:
            raise Invalid.field("value", "Paste the whole private key, from “-----BEGIN” to its last line.")
    try:
        value = text.encode()
    except UnicodeEncodeError:
        raise Invalid.field("value", "It holds what is not text. Encode it, with base64 for example.") from None
    if not 1 <= len(value) <= LARGEST or b"\0" in value:
        raise Invalid.field("value", f"Use 1 to {LARGEST:,} bytes of text.")
    return value
