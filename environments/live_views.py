"""`/live/logs/<workspace>/`: the live tail of a workspace's log, continued from the archive."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from environments import access
from environments.access import Right
from portal.accounts.models import User
from portal.compute import log_stream
from portal.compute.log_stream import Tail
from portal.live import stream

SHARED_SECONDS = 45
"""What is shared can be taken back: who reads it that way comes back this often, and is checked again."""


@require_safe
async def tail(request: HttpRequest, workspace_id: str) -> HttpResponseBase:
    """Frames of rows after `Last-Event-ID` (or `?after=`), first from the archive, then live."""
    return await log_stream.answer(request, lambda user, after: _prepare(user, workspace_id, after))


def _prepare(user: User, workspace_id: str, after: int) -> Tail:
    workspace = access.workspace_for(user, workspace_id, Right.VIEW)
    lasting = Right.MANAGE in access.rights_on(user, workspace)
    lifetime = stream.LIFETIME_SECONDS if lasting else SHARED_SECONDS
    return workspace.allocation, log_stream.backlog(workspace.allocation, after), lifetime
