"""Writes to users, teams and tokens."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction

from portal.accounts.models import ApiToken, HeldBack, Membership, Role, Team, User
from portal.accounts.states import MAX_TOKEN_DAYS, SCOPES, TOKEN_PREFIX
from portal.audit.actions import record
from portal.lib import clock
from portal.lib.crypto import digest, new_secret
from portal.lib.errors import Invalid
from portal.live.redis import publish

RESERVED = "berth"
LARGEST_SHARE = 1_000


@dataclass(frozen=True, slots=True)
class NewToken:
    """`secret` is shown once and kept nowhere."""

    token: ApiToken
    secret: str


@transaction.atomic
def create_user(username: str, name: str, password: str, *, staff: bool = False, email: str = "", actor: str) -> User:
    user = User(username=username, name=name, subject=username, is_staff=staff, email=email)
    user.set_password(password)
    user.save(force_insert=True)
    record(actor, "user.create", f"user-{user.pk}", after={"username": username, "staff": staff})
    return user


@transaction.atomic
def create_team(slug: str, name: str, *, actor: str) -> Team:
    if slug == RESERVED:
        raise Invalid.field("slug", f"“{RESERVED}” cannot be a team's: /home/{RESERVED} is everybody's own home.")
    team = Team.objects.create(slug=slug, name=name)
    record(actor, "team.create", f"team-{team.pk}", after={"slug": slug})
    return team


@transaction.atomic
def add_member(team: Team, user: User, role: Role, *, actor: str) -> Membership:
    member, _ = Membership.objects.update_or_create(team=team, user=user, defaults={"role": role})
    record(actor, "team.add_member", f"team-{team.pk}", after={"user": user.username, "role": role})
    return member


@transaction.atomic
def set_share(team: Team, share: int, *, actor: str) -> None:
    """Of the machines, beside the shares of other teams; what waits stands in line by it at once. Raises Invalid."""
    if not 1 <= share <= LARGEST_SHARE:
        raise Invalid.field("share", f"Give a share from 1 to {LARGEST_SHARE:,}.")
    before = team.share
    if Team.objects.filter(pk=team.pk).exclude(share=share).update(share=share):
        team.share = share
        record(actor, "team.set_share", f"team-{team.pk}", before={"share": before}, after={"share": share})
        publish("allocations")


@transaction.atomic
def hold_back(team: Team, why: str, *, user: User | None = None, project: str = "", actor: str) -> None:
    """Nothing new of the team, or of one person or for one project in it, is placed from now on; with an empty `why`,
    again. What waits stays in line.
    """
    of: dict[str, Any] = {"team": team, "user": user, "project": project}
    before = HeldBack.objects.filter(**of).first()
    if why == (before.why if before else ""):
        return
    if why:
        HeldBack.objects.update_or_create(**of, defaults={"why": why})
    else:
        HeldBack.objects.filter(**of).delete()
    told = {"user": user.username if user else "", "project": project, "held_back": why}
    record(actor, "team.hold_back", f"team-{team.pk}", after={name: said for name, said in told.items() if said})
    publish("allocations")


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
