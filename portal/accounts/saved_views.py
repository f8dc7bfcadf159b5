"""Saved views of pages: a name for a query string, each person's own."""

from dataclasses import dataclass

from django.db import transaction

from portal.accounts.models import SavedView, User
from portal.audit.actions import record
from portal.lib.errors import Invalid

MOST = 20
"""Of one page."""
NAME_LENGTH = 40


@dataclass(frozen=True, slots=True)
class View:
    """`current`: it is what the page shows now."""

    pk: int
    name: str
    url: str
    current: bool


def of(user: User, page: str, query: str) -> list[View]:
    """Theirs of the page with the route of this name, which shows `query` now."""
    rows = SavedView.objects.filter(user=user, page=page)
    return [View(row.pk, row.name, f"?{row.query}", row.query == query) for row in rows]


@transaction.atomic
def save(user: User, page: str, name: str, query: str, *, actor: str) -> SavedView:
    """Under a name that there is already, it takes the place of that one. Raises Invalid for `name`."""
    wanted = name.strip()
    if not 0 < len(wanted) <= NAME_LENGTH or not wanted.isprintable():
        raise Invalid.field("name", f"Use 1 to {NAME_LENGTH} printable characters, such as “Failed this week”.")
    views = SavedView.objects.filter(user=user, page=page)
    if views.exclude(name=wanted).count() >= MOST:
        raise Invalid.field("name", f"You have {MOST} views already: forget one first.")
    view, _ = views.update_or_create(user=user, page=page, name=wanted, defaults={"query": query})
    record(actor, "view.save", f"view-{view.pk}", after={"page": page, "name": wanted, "query": query})
    return view


@transaction.atomic
def forget(user: User, page: str, view_id: int, *, actor: str) -> None:
    """What is gone already is no error."""
    if SavedView.objects.filter(user=user, page=page, pk=view_id).delete()[0]:
        record(actor, "view.forget", f"view-{view_id}")
