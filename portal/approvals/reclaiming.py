"""Grants that are hardly used: how much of each its holder held lately, for who may revoke it."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from portal.accounts.models import User
from portal.compute.holds import held_between
from portal.lib import clock
from portal.quotas import access
from portal.quotas.models import Grant
from portal.quotas.states import GrantState

LOOK_BACK = timedelta(days=7)
HARDLY = 0.1
"""Below this share of its time a grant is said to be hardly used."""


@dataclass(frozen=True, slots=True)
class Row:
    """A grant that counts now; `hint` says so where it is hardly used."""

    grant: Grant
    whose: str
    state: GrantState
    hint: str


def rows(user: User) -> list[Row]:
    """Those that this person may revoke, the hardly used first, then by their end."""
    grants, now = list(access.revocable_by(user)), clock.now()
    hints = hints_of(grants)
    found = [Row(one, _whose(one), one.state(now), hints.get(one.pk, "")) for one in grants]
    return sorted(found, key=lambda row: not row.hint)


def _whose(grant: Grant) -> str:
    return grant.user.get_full_name() if grant.user else f"team {grant.team.name}"


def hints_of(grants: Iterable[Grant]) -> dict[str, str]:
    """By grant, a sentence where its holder held hardly any of what it gave in the last days; one query.

    Only of those that counted all that time. What the same people held beyond the grant counts as well.
    """
    now = clock.now()
    begin = now - LOOK_BACK
    whole = [one for one in grants if one.revoked_at is None and one.starts_at <= begin and now < one.ends_at]
    held = _times(begin, now) if whole else {}
    shares = {one.pk: _of(held, one) / (LOOK_BACK * one.count) for one in whole}
    return {pk: _sentence(share) for pk, share in shares.items() if share < HARDLY}


def _sentence(share: float) -> str:
    return f"Hardly used: {share:.0%} of it was held in the last {LOOK_BACK.days} days.".replace("%", " %")


Times = dict[tuple[str | None, str], timedelta]
"""Device-time by class and person, and by class and team; no two of their ids are alike."""


def _of(times: Times, grant: Grant) -> timedelta:
    return times.get((grant.gpu_class_id, grant.user_id or grant.team_id), timedelta())


def _times(begin: datetime, end: datetime) -> Times:
    found: Times = defaultdict(timedelta)
    for held in held_between(begin, end):
        found[held.gpu_class, held.user] += held.time
        found[held.gpu_class, held.team] += held.time
    return found
