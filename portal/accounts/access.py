"""Who belongs where; the only way to a team or a token."""

from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet

from portal.accounts.models import ApiToken, Membership, Role, Team, User
from portal.accounts.states import TOKEN_PREFIX
from portal.lib import clock, ids
from portal.lib.crypto import digest
from portal.lib.errors import Invalid, NotFound


def signed_in(user: User | AnonymousUser) -> User:
    """The person behind a request that a decorator or permission has let through."""
    if not isinstance(user, User):
        raise NotFound("Sign in first.")
    return user


def roles(user: User) -> dict[str, str]:
    """Role by team id."""
    return dict(Membership.objects.filter(user=user).values_list("team_id", "role"))


def teams_of(user: User) -> QuerySet[Team]:
    return Team.objects.filter(memberships__user=user)


def default_team(user: User) -> Team | None:
    return teams_of(user).first()


def team_for(user: User, slug: str | None) -> Team:
    """The team to charge: the named one, or the user's first. Raises Invalid naming the field."""
    team = teams_of(user).filter(slug=slug).first() if slug else default_team(user)
    if team is None:
        raise Invalid.field(
            "team", f"You are not in a team called “{slug}”." if slug else "You are not in any team yet."
        )
    return team


def leads(user: User) -> QuerySet[Team]:
    return Team.objects.filter(memberships__user=user, memberships__role=Role.LEAD)


def token_of(user: User, token_id: str) -> ApiToken:
    known = ids.PATTERN.fullmatch(token_id)
    token = ApiToken.objects.filter(user=user, pk=token_id).first() if known else None
    if token is None:
        raise NotFound("You have no such token.")
    return token


def user_by_token(secret: str) -> ApiToken | None:
    """The valid token behind a secret: known, not expired, not revoked, its owner active."""
    if not secret.startswith(TOKEN_PREFIX):
        return None
    return (
        ApiToken.objects.select_related("user")
        .filter(digest=digest(secret), revoked_at=None, expires_at__gt=clock.now(), user__is_active=True)
        .first()
    )
