"""Writes to users, teams and tokens."""

from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction

from portal.accounts.models import ApiToken, Membership, Role, Team, User
from portal.accounts.states import MAX_TOKEN_DAYS, SCOPES, TOKEN_PREFIX
from portal.audit.actions import record
from portal.lib import clock
from portal.lib.crypto import digest, new_secret
from portal.lib.errors import Invalid


@dataclass(frozen=True, slots=True)
class NewToken:
    """`secret` is shown once and kept nowhere."""

    token: ApiToken
    secret: str


@transaction.atomic
def create_user(username: str, name: str, password: str, *, staff: bool = False, actor: str) -> User:
    user = User(username=username, name=name, subject=username, is_staff=staff)
    user.set_password(password)
    user.save(force_insert=True)
    record(actor, "user.create", f"user-{user.pk}", after={"username": username, "staff": staff})
    return user


@transaction.atomic
def create_team(slug: str, name: str, *, actor: str) -> Team:
    team = Team.objects.create(slug=slug, name=name)
    record(actor, "team.create", f"team-{team.pk}", after={"slug": slug})
    return team


@transaction.atomic
def add_member(team: Team, user: User, role: Role, *, actor: str) -> Membership:
    member, _ = Membership.objects.update_or_create(team=team, user=user, defaults={"role": role})
    record(actor, "team.add_member", f"team-{team.pk}", after={"user": user.username, "role": role})
    return member


@transaction.atomic
def create_token(user: User, name: str, scopes: list[str], days: int, *, actor: str) -> NewToken:
    """A token good for `days` days. Raises Invalid for `name`, `scopes` or `days`."""
    _check_token(name, scopes, days)
    secret = TOKEN_PREFIX + new_secret()
    now = clock.now()
    token = ApiToken.objects.create(
        user=user,
        name=name.strip(),
        digest=digest(secret),
        prefix=secret[: len(TOKEN_PREFIX) + 4],
        scopes=sorted(set(scopes)),
        created_at=now,
        expires_at=now + timedelta(days=days),
    )
    record(
        actor,
        "token.create",
        f"token-{token.pk}",
        after={"name": token.name, "scopes": token.scopes, "days": days},
    )
    return NewToken(token, secret)


def _check_token(name: str, scopes: list[str], days: int) -> None:
    fields: dict[str, list[str]] = {}
    if not 1 <= len(name.strip()) <= 100 or not name.isprintable():
        fields["name"] = ["Use 1 to 100 printable characters, such as “laptop”."]
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        fields["scopes"] = [f"Choose at least one of: {', '.join(SCOPES)}."]
    if not 1 <= days <= MAX_TOKEN_DAYS:
        fields["days"] = [f"Use a whole number of days from 1 to {MAX_TOKEN_DAYS}."]
    if fields:
        raise Invalid("The token was not created.", fields=fields)


@transaction.atomic
def revoke_token(token: ApiToken, *, actor: str) -> None:
    """After it, the token opens nothing. Revoking twice is no error."""
    if ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=clock.now()):
        record(actor, "token.revoke", f"token-{token.pk}")


def note_use(token: ApiToken) -> None:
    """Remember the last use, to the minute."""
    now = clock.now()
    if token.last_used_at is None or now - token.last_used_at > timedelta(minutes=1):
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
