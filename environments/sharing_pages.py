"""Gathers what pages show of sharing and of offers: to those who receive, and to the owner."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from environments import access, cards
from environments.access import Right
from environments.cards import WorkspaceCard
from environments.models import Handover, Share, Workspace
from environments.states import ShareRight
from portal.accounts.models import User
from portal.lib import words
from portal.usage import costs

SHOWN = 50


@dataclass(frozen=True, slots=True)
class ShareRow:
    id: str
    to: str
    right: str
    until: datetime


@dataclass(frozen=True, slots=True)
class OfferRow:
    workspace_id: str
    name: str
    by: str
    template_name: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """All that somebody was given on one workspace, by name and through teams, taken together."""

    workspace: Workspace
    rights: Right
    until: datetime

    @property
    def note(self) -> str:
        what = "to use" if Right.ENTER in self.rights else "to see"
        return f"{self.workspace.owner.get_full_name()} shares it with you {what}, until {words.exactly(self.until)}"


def received(user: User) -> dict[str, Any]:
    """What home and the list show beside somebody's own: what is shared with them and what is offered to them."""
    held = _taken_together(access.shared_with(user))[:SHOWN]
    prices = costs.per_hour({one.workspace.size for one in held})
    spent = costs.so_far(one.workspace.pk for one in held)
    shown = [cards.card(one.workspace, prices, spent, rights=one.rights, note=one.note) for one in held]
    offers = [offer_row(offered) for offered in access.offers_to(user)[:SHOWN]]
    return {"shared": shown, "offers": offers}


def topics_of(shown: dict[str, Any]) -> list[str]:
    shared: list[WorkspaceCard] = shown["shared"]
    return [card.topic for card in shared]


def note(user: User, workspace: Workspace) -> str:
    """What a person should know who sees it because it is shared with them."""
    if workspace.owner_id == user.pk:
        return ""
    held = _taken_together(access.shared_with(user).filter(workspace=workspace))
    return held[0].note if held else ""


def _taken_together(shares: Iterable[Share]) -> list[Held]:
    """The most that was given on each, and for as long as that holds."""
    least_first = sorted(shares, key=lambda share: (share.right == ShareRight.USE, share.until))
    held = {s.workspace_id: Held(s.workspace, access.share_rights(s.right), s.until) for s in least_first}
    return list(held.values())


def given(workspace: Workspace) -> list[ShareRow]:
    """To whom it is open now, for those who may end that."""
    shares = access.shares_of(workspace).select_related("user", "team")
    return [ShareRow(share.pk, _receiver(share), ShareRight(share.right).label, share.until) for share in shares]


def _receiver(share: Share) -> str:
    if share.team is not None:
        return f"Team {share.team.name}"
    return share.user.get_full_name() if share.user else ""


def offer_row(offered: Handover) -> OfferRow:
    workspace = offered.workspace
    by, template = offered.offered_by.get_full_name(), workspace.version.template.name
    return OfferRow(workspace.pk, workspace.name, by, template, offered.offered_at)
