"""What every page knows: who looks at it."""

from dataclasses import dataclass
from typing import Any

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
    if not isinstance(user, User):
        return {"viewer": None}
    team = default_team(user)
    name = user.get_full_name()
    initials = "".join(word[0] for word in name.split()[:2]).upper()
    return {"viewer": Viewer(name, initials, team.name if team else ("Administrator" if user.is_staff else ""))}
