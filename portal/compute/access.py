"""The only way to what somebody else runs, for those who look after it: strangers get 404, members 403."""

from portal.accounts.access import roles
from portal.accounts.models import Role, User
from portal.compute.models import Allocation
from portal.lib import ids
from portal.lib.errors import Conflict, Forbidden, Next, NotFound

BOARD = Next("GPU board", "/gpus/")


def looked_after_by(user: User, allocation_id: str) -> Allocation:
    """One that is open, of a team they lead; as staff anybody's. Raises NotFound, Forbidden, Conflict if it ended."""
    known = ids.PATTERN.fullmatch(allocation_id.upper())
    rows = Allocation.objects.select_related("user", "team", "node")
    found = rows.filter(pk=allocation_id.upper()).first() if known else None
    role = roles(user).get(found.team_id) if found else None
    if found is None or not (user.is_staff or role or found.user_id == user.pk):
        raise NotFound("There is nothing of that name that you look after.", next_step=BOARD)
    if not (user.is_staff or role == Role.LEAD):
        raise Forbidden(f"Only who leads {found.team.name}, and administrators, may do this.", next_step=BOARD)
    if not found.open:
        raise Conflict("It has ended already.", code="ended", next_step=BOARD)
    return found
