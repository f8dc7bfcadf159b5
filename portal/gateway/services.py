"""Who may pass the services door: a running attempt of a job, to the tracking server of its team that it was given."""

from typing import Any

from django.db.models import Exists, F, OuterRef, QuerySet

from jobs import tracking
from jobs.models import Attempt
from portal.accounts.models import Membership
from portal.compute.models import Allocation
from portal.compute.states import Phase
from portal.gateway import access
from portal.gateway.access import Found, Passed, Refused
from portal.gateway.prepared import Prepared

UNDER_WAY = (Phase.STARTING, Phase.RUNNING, Phase.STOPPING)
"""What is asked to end may still log its last numbers."""


def judge(workspace: str, token: str) -> Passed:
    """`workspace` is what the path names, in whatever case. Raises Refused: "not-running" where all but that is proven.

    To everybody else, what is there and what is not looks the same.
    """
    named = tracking.named_by(token)
    row = _attempt.first(allocation=named, workspace=workspace.upper()) if named and workspace else None
    if row is None or not tracking.is_of(token, Allocation(pk=named, generation=row[0])):
        raise Refused("forbidden")
    if row[5] is None:
        raise Refused("not-running")
    return access.passed(Found(f"job:{named}", *row[1:]), counts=True)


def _query(allocation: str, workspace: str) -> QuerySet[Attempt, Any]:
    def belongs(person: str) -> Exists:
        return Exists(Membership.objects.filter(user=OuterRef(person), team=OuterRef("allocation__team")))

    rows = Attempt.objects.filter(
        belongs("allocation__user"),
        belongs("tracking__owner"),
        allocation=allocation,
        allocation__phase__in=UNDER_WAY,
        allocation__user__is_active=True,
        tracking=workspace,
        tracking__team=F("allocation__team"),
        tracking__serves_team__gt="",
        tracking__deleted_at=None,
        tracking__owner__is_active=True,
    )
    return rows.values_list("allocation__generation", "tracking_id", *access.columns("tracking__"))


_attempt = Prepared("berth_door_job", _query, ("allocation", "workspace"))
