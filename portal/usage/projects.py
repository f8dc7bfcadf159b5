"""Projects: a word by which a team tells apart what it spends; what a workspace or job says of itself."""

import re
from collections.abc import Collection
from datetime import timedelta

from portal.lib import clock
from portal.lib.errors import Invalid
from portal.usage.models import UsageTotal

LENGTH = 40
EXAMPLE = "churn-2027"
MOST = 50
RECENT = timedelta(days=92)
_WRITTEN = re.compile(rf"[a-z0-9][a-z0-9._-]{{0,{LENGTH - 1}}}")


def checked(text: str) -> str:
    """In small letters, so that it is one project however it is written; empty is none. Raises Invalid."""
    wanted = text.strip().lower()
    if wanted and not _WRITTEN.fullmatch(wanted):
        raise Invalid.field("project", f"Use up to {LENGTH} letters, digits, “.”, “-” and “_”, such as “{EXAMPLE}”.")
    return wanted


def recent(teams: Collection[str]) -> list[str]:
    """What these teams, by slug, have lately spent something on. One query."""
    rows = UsageTotal.objects.filter(kind="team-month", team__in=teams, started_at__gte=clock.now() - RECENT)
    return list(rows.exclude(project="").order_by("project").values_list("project", flat=True).distinct()[:MOST])
