"""Who belongs where; the only way to a team, a token or a secret."""

from typing import TypeVar

from django.contrib.auth.models import AnonymousUser
from django.db.models import Model, Q, QuerySet

from portal.accounts.models import ApiToken, Membership, Role, Secret, Team, User
from portal.accounts.states import TOKEN_PREFIX
from portal.lib import clock, ids
from portal.lib.crypto import digest
from portal.lib.errors import Forbidden, Invalid, Next, NotFound

T = TypeVar("T", bound=Model)


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


def of_team(user: User, rows: QuerySet[T], slug: str) -> QuerySet[T]:
    """Those rows whose `team` it is. Raises Invalid for a team that the user cannot know of."""
    known = Team.objects.all() if user.is_staff else teams_of(user)
    found = rows.filter(team__slug=slug)
    if not known.filter(slug=slug).exists() and not found.exists():
        raise Invalid.field("team", f"You are not in a team called “{slug}”.")
    return found


def leads(user: User) -> QuerySet[Team]:
    return Team.objects.filter(memberships__user=user, memberships__role=Role.LEAD)


def leads_of(team: Team) -> QuerySet[User]:
    leading = User.objects.filter(memberships__team=team, memberships__role=Role.LEAD, is_active=True)
    return leading.order_by("username")


def team_led_by(user: User, slug: str) -> Team:
    """The team of that name, if the user leads it. Raises Invalid naming the field."""
    team = team_for(user, slug)
    if not leads(user).filter(pk=team.pk).exists():
        raise Invalid.field("team", f"Only who leads {team.name} may do this for the team.")
    return team


def secrets_seen_by(user: User) -> QuerySet[Secret]:
    """Their own and their teams', never with what is in them."""
    mine = Secret.objects.filter(Q(owner=user) | Q(team__in=teams_of(user)))
    return mine.select_related("owner", "team").defer("sealed")


def secret_for(user: User, secret_id: str) -> Secret:
    """One that the user may change. Raises NotFound for strangers, Forbidden for members who do not lead its team."""
    known = ids.PATTERN.fullmatch(secret_id.upper())
    secret = secrets_seen_by(user).filter(pk=secret_id.upper()).first() if known else None
    if secret is None:
        raise NotFound("There is no such secret, or it is not yours.", next_step=Next("Your secrets", "/secrets/"))
    if not may_change(user, secret):
        raise Forbidden(f"Only who leads its team may change {secret.name}.", next_step=Next("Secrets", "/secrets/"))
    return secret


def may_change(user: User, secret: Secret) -> bool:
    return secret.owner_id == user.pk or roles(user).get(secret.team_id or "") == Role.LEAD


def usable_secrets(user: User, team: Team) -> QuerySet[Secret]:
    """What workspaces of the user that this team pays for may be given: who has left the team has left its secrets."""
    of_team = Q(team=team, team__memberships__user=user)
    return Secret.objects.filter(Q(owner=user) | of_team)


def secrets_by_name(user: User, team: Team) -> dict[str, Secret]:
    """The usable ones as a launch names them; a personal one hides the team's."""
    usable = usable_secrets(user, team).select_related("team").defer("sealed")
    return {secret.name: secret for secret in sorted(usable, key=lambda secret: secret.owner_id is not None)}


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
