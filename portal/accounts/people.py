"""Writes to people by an administrator: invite, let in again, keep out, password, role, teams."""

import re
import secrets
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from portal.accounts.actions import add_member, create_team, create_user
from portal.accounts.models import Membership, Role, Team, User
from portal.audit.actions import record
from portal.lib import ids
from portal.lib.errors import Conflict, Invalid, NotFound

USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,38}")


def new_password() -> str:
    """One that can be read out; whoever gets it should change it."""
    return "-".join(secrets.token_hex(2) for _ in range(4))


def person(user_id: str) -> User:
    """Raises NotFound."""
    found = User.objects.filter(pk=user_id.upper()).first() if ids.PATTERN.fullmatch(user_id.upper()) else None
    if found is None:
        raise NotFound("There is no such person.")
    return found


def team_named(slug: str) -> Team:
    """Raises Invalid for `team`."""
    found = Team.objects.filter(slug=slug).first() if "\0" not in slug else None
    if found is None:
        raise Invalid.field("team", f"There is no team called “{slug[:50]}”.")
    return found


@transaction.atomic
def invite(
    username: str, name: str, email: str = "", *, staff: bool = False, team: str = "", role: str = "", actor: str
) -> tuple[User, str]:
    """A new person and their first password, which is kept nowhere. Raises Invalid naming the field."""
    if not USERNAME.fullmatch(username):
        raise Invalid.field("username", "Use 1 to 60 letters, digits, dots and hyphens, such as “vera.rosen”.")
    if User.objects.filter(username__iexact=username).exists():
        raise Invalid.field("username", f"There is a user “{username}” already.")
    password = new_password()
    user = create_user(username, _text(name, "name"), password, staff=staff, email=_email(email), actor=actor)
    if team:
        add_member(team_named(team), user, Role(role or Role.MEMBER), actor=actor)
    return user, password


@transaction.atomic
def reset_password(user: User, *, actor: str) -> str:
    """A new first password; every session of theirs ends. Raises Conflict for oneself."""
    _must_be_another(user, actor)
    password = new_password()
    validate_password(password, user)
    user.set_password(password)
    user.save(update_fields=["password"])
    record(actor, "user.reset_password", f"user-{user.pk}")
    return password


def deactivate(user: User, *, actor: str) -> None:
    """They cannot sign in, and are signed out. Raises Conflict for oneself. Doing it twice is no error."""
    _must_be_another(user, actor)
    _set(user, "is_active", False, "user.suspend", actor)


def activate(user: User, *, actor: str) -> None:
    """They may sign in again. Doing it twice is no error."""
    _set(user, "is_active", True, "user.reinstate", actor)


def set_staff(user: User, staff: bool, *, actor: str) -> None:
    """Raises Conflict for oneself: somebody must stay who can undo it."""
    _must_be_another(user, actor)
    _set(user, "is_staff", staff, "user.staff", actor)


@transaction.atomic
def _set(user: User, field: str, value: bool, verb: str, actor: str) -> None:
    before: dict[str, Any] = {field: not value}
    if User.objects.filter(pk=user.pk, **before).update(**{field: value}):
        setattr(user, field, value)
        record(actor, verb, f"user-{user.pk}", before=before, after={field: value})


def _must_be_another(user: User, actor: str) -> None:
    if user.username == actor:
        raise Conflict("Nobody does this to themselves; another administrator can.")


@transaction.atomic
def join(user: User, team: str, role: str, *, actor: str) -> Membership:
    """In the team with this role, also where they are in it with another. Raises Invalid naming the field."""
    if role not in Role.values:
        raise Invalid.field("role", f"Choose one of: {', '.join(Role.values)}.")
    return add_member(team_named(team), user, Role(role), actor=actor)


@transaction.atomic
def leave(user: User, team: str, *, actor: str) -> None:
    """No longer in it. Leaving twice is no error."""
    found = team_named(team)
    if Membership.objects.filter(user=user, team=found).delete()[0]:
        record(actor, "team.remove_member", f"team-{found.pk}", before={"user": user.username})


@transaction.atomic
def found_team(slug: str, name: str, *, actor: str) -> Team:
    """Raises Invalid naming the field."""
    if not SLUG.fullmatch(slug):
        raise Invalid.field("slug", "Use 1 to 39 small letters, digits and hyphens, such as “vision”.")
    try:
        with transaction.atomic():
            return create_team(slug, _text(name, "name"), actor=actor)
    except IntegrityError:
        raise Invalid.field("slug", f"There is a team “{slug}” already.") from None


def _text(words: str, field: str) -> str:
    words = words.strip()
    if not 1 <= len(words) <= 100 or not words.isprintable():
        raise Invalid.field(field, "Use 1 to 100 printable characters.")
    return words


def _email(address: str) -> str:
    address = address.strip()
    try:
        if address:
            validate_email(address)
    except ValidationError:
        raise Invalid.field("email", "This is no e-mail address.") from None
    return address
