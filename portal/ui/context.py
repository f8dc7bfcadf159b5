"""What every page knows: who looks at it, and whether workspaces are isolated here."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from portal.accounts.access import default_team
from portal.accounts.models import User


@dataclass(frozen=True, slots=True)
class Viewer:
    name: str
    initials: str
    team_name: str


def site(request: HttpRequest) -> dict[str, Any]:
    user = getattr(request, "user", None)
    not_isolated = settings.RUNTIME == "local"
    if not isinstance(user, User):
        return {"viewer": None, "not_isolated": not_isolated}
    team = default_team(user)
    name = user.get_full_name()
    initials = "".join(word[0] for word in name.split()[:2]).upper()
    viewer = Viewer(name, initials, team.name if team else ("Administrator" if user.is_staff else ""))
    return {"viewer": viewer, "not_isolated": not_isolated}
