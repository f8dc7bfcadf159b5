"""What every page knows: who looks at it, what they have to read, and whether workspaces are isolated here."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef, Subquery
from django.http import HttpRequest

from portal.accounts.models import Membership, Role, Team, User
from portal.announcements.access import shown_to
from portal.notices import access as notices
from portal.quotas.access import delegations


@dataclass(frozen=True, slots=True)
class Viewer:
    name: str
    initials: str
    team_name: str
    is_staff: bool = False
    approves: bool = False
    unread: int = 0
    notices_topic: str = ""


def site(request: HttpRequest) -> dict[str, Any]:
    user = getattr(request, "user", None)
    not_isolated = settings.RUNTIME == "local"
    if not isinstance(user, User):
        return {"viewer": None, "not_isolated": not_isolated, "announcements": shown_to(None)}
    team, unread, leading, announced = _known_of(user)
    name = user.get_full_name()
    initials = "".join(word[0] for word in name.split()[:2]).upper()
    team_name = team or ("Administrator" if user.is_staff else "")
    approves = user.is_staff or leading
    viewer = Viewer(name, initials, team_name, user.is_staff, approves, unread, notices.topic(user.pk))
    return {"viewer": viewer, "not_isolated": not_isolated, "announcements": shown_to(user) if announced else []}


def _known_of(user: User) -> tuple[str | None, int, bool, bool]:
    """Their first team, what they have not read, whether they lead a team or decide for somebody, and whether anything
    is announced to them. In one query, because every page asks.
    """
    first = Team.objects.filter(memberships__user=OuterRef("pk")).values("name")[:1]
    leading = Exists(Membership.objects.filter(user=OuterRef("pk"), role=Role.LEAD))
    deputy = Exists(delegations().filter(delegate=OuterRef("pk")))
    known = User.objects.values_list(Subquery(first), notices.UNREAD, leading, deputy, Exists(shown_to(user)))
    team, unread, leads, decides, announced = known.get(pk=user.pk)
    return team, unread, leads or decides, announced
