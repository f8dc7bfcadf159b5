"""Whose usage one may see, and what who is billed: one's own, that of teams one leads, for administrators all."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import QuerySet

from portal.accounts.access import leads, roles
from portal.accounts.models import Role, Team, User
from portal.lib import ids
from portal.lib.errors import Forbidden, Invalid, NotFound
from portal.usage.models import Statement
from portal.usage.reports import Scope

MINE, ALL = "me", "all"


@dataclass(frozen=True, slots=True)
class Choice:
    """`slug` is what asks for it: `me`, `all` or `team:` and the team's slug."""

    slug: str
    label: str
    scope: Scope


def choices(user: User) -> list[Choice]:
    """What this person may look at, their own first."""
    teams = Team.objects.all() if user.is_staff else leads(user)
    found = [Choice(MINE, "Mine", Scope(user=user.username))]
    named = teams.order_by("name").values_list("slug", "name")
    found += [Choice(f"team:{slug}", name, Scope(teams=(slug,))) for slug, name in named]
    return [*found, Choice(ALL, "All teams", Scope())] if user.is_staff else found


def first_shown(known: Sequence[Choice]) -> str:
    """Where nothing was chosen: all for administrators, for others the first team they lead, or their own."""
    slugs = [choice.slug for choice in known]
    return ALL if ALL in slugs else slugs[:2][-1]


def chosen(known: Sequence[Choice], slug: str) -> Choice:
    """Raises Invalid naming `scope`, also for what is there and not theirs to see."""
    found = next((choice for choice in known if choice.slug == slug), None)
    if found is None:
        raise Invalid.field("scope", f"Choose one of: {', '.join(choice.slug for choice in known)}.")
    return found


def budget_team(user: User, slug: str) -> Team:
    """A team whose budgets they may see. Raises NotFound for strangers, Forbidden for members who do not lead it."""
    team = Team.objects.filter(slug=slug).first()
    role = Role.LEAD if user.is_staff else roles(user).get(team.pk) if team else None
    if team is None or role is None:
        raise NotFound("There is no such team, or you are not in it.")
    if role != Role.LEAD:
        raise Forbidden(f"Only who leads {team.name} sees its budgets.")
    return team


def team_to_budget(user: User, slug: str, *, whole: bool) -> Team:
    """A team whose budget they may set: the `whole` one as an administrator, its parts as its lead too.

    Raises Forbidden, and to administrators Invalid naming `team`: whether there are others is not said to everybody.
    """
    team = Team.objects.filter(slug=slug).first()
    if team and (user.is_staff or (not whole and leads(user).filter(pk=team.pk).exists())):
        return team
    if user.is_staff:
        raise Invalid.field("team", f"There is no team called “{slug}”.")
    raise Forbidden("Only administrators set the budget of a team; its leads set those of people and projects in it.")


def billing(user: User) -> Scope:
    """What teams are billed for: those that the person leads, for administrators all. Raises Forbidden without any."""
    if user.is_staff:
        return Scope()
    teams = tuple(leads(user).values_list("slug", flat=True))
    if not teams:
        raise Forbidden("Only who leads a team sees what it is billed.")
    return Scope(teams=teams)


def statements(user: User) -> QuerySet[Statement]:
    """The newest first: of teams that the person leads, for administrators all."""
    rows = Statement.objects.select_related("team")
    return rows if user.is_staff else rows.filter(team__in=leads(user))


def statement_for(user: User, statement_id: str) -> Statement:
    """Raises NotFound for strangers to its team, Forbidden for members who do not lead it."""
    known = ids.PATTERN.fullmatch(statement_id.upper())
    found = Statement.objects.select_related("team").filter(pk=statement_id.upper()).first() if known else None
    role = Role.LEAD if user.is_staff else roles(user).get(found.team_id) if found else None
    if found is None or role is None:
        raise NotFound("There is no such statement, or it is not yours to see.")
    if role != Role.LEAD:
        raise Forbidden(f"Only who leads {found.team.name} sees what it is billed.")
    return found
