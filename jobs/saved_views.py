"""Writes to saved views of the list of jobs: a name for a query string, each person's own."""

from django.db import transaction

from jobs.models import SavedView
from portal.accounts.models import User
from portal.audit.actions import record
from portal.lib.errors import Invalid

MOST = 20
NAME_LENGTH = 40


@transaction.atomic
def save(user: User, name: str, query: str, *, actor: str) -> SavedView:
    """Under a name that there is already, it takes the place of that one. Raises Invalid for `name`."""
    wanted = name.strip()
    if not 0 < len(wanted) <= NAME_LENGTH or not wanted.isprintable():
        raise Invalid.field("name", f"Use 1 to {NAME_LENGTH} printable characters, such as “Failed this week”.")
    others = SavedView.objects.filter(user=user).exclude(name=wanted)
    if others.count() >= MOST:
        raise Invalid.field("name", f"You have {MOST} views already: forget one first.")
    view, _ = SavedView.objects.update_or_create(user=user, name=wanted, defaults={"query": query})
    record(actor, "view.save", f"view-{view.pk}", after={"name": wanted, "query": query})
    return view


@transaction.atomic
def forget(user: User, view_id: int, *, actor: str) -> None:
    """What is gone already is no error."""
    if SavedView.objects.filter(user=user, pk=view_id).delete()[0]:
        record(actor, "view.forget", f"view-{view_id}")
