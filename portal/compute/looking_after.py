"""What leads and administrators do about what others run: write to its owner, or stop it with a reason."""

from django.db import transaction

from portal.accounts.models import User
from portal.audit.actions import record
from portal.compute import owners
from portal.compute.models import Allocation
from portal.compute.states import Desired
from portal.lib.crypto import digest
from portal.lib.errors import Invalid
from portal.notices.actions import tell
from portal.notices.states import Kind

LONGEST = 180
"""So that a reason, with the name before it, has room in the sentence of an ending."""


@transaction.atomic
def message(allocation: Allocation, text: str, *, sender: User) -> None:
    """A notice to its owner, by mail too. The same words about the same thing are told once. Raises Invalid."""
    text = _said("text", text, "Write what its owner should know.")
    subject, own = owners.subject(allocation), f"allocation-{allocation.pk}"
    told = f"{sender.get_full_name()} about {subject.name}: {text}"
    facts = {"allocation": {"id": allocation.pk, "from": sender.username, "text": text}}
    if tell(allocation.user, Kind.MESSAGE, f"{own}-{digest(told)[:16]}", told, subject.url, facts):
        record(sender.username, "allocation.message", own, after={"to": allocation.user.username, "text": text})


@transaction.atomic
def stop(allocation: Allocation, because: str, *, actor: User) -> None:
    """End what it runs for; its owner reads who did it and why. Stopping it twice is no error. Raises Invalid."""
    because = _said("because", because, "Say why: its owner reads it.")
    if allocation.desired == Desired.END:
        return
    sentence = f"Stopped by {actor.get_full_name()}: {because}"
    owners.owner_of(allocation).stop(allocation, actor=actor.username, message=sentence)
    if allocation.user_id != actor.pk:
        subject = owners.subject(allocation)
        facts = {"allocation": {"id": allocation.pk, "from": actor.username, "text": because}}
        told = f"{subject.name}: {sentence}"
        tell(allocation.user, Kind.WORK_STOPPED, f"allocation-{allocation.pk}", told, subject.url, facts)


def _said(field: str, text: str, otherwise: str) -> str:
    text = " ".join(text.split())
    if not text:
        raise Invalid.field(field, otherwise)
    if len(text) > LONGEST:
        raise Invalid.field(field, f"At most {LONGEST} characters.")
    return text
