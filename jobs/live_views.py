"""`/live/jobs/<job>/log/`: the live tail of the log of a job's latest attempt, or of one that is named."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from jobs import access
from jobs.access import Right
from portal.accounts.models import User
from portal.compute import log_stream
from portal.compute.log_stream import Tail
from portal.live import stream


@require_safe
async def tail(request: HttpRequest, job_id: str, number: int | None = None) -> HttpResponseBase:
    """Frames of rows after `Last-Event-ID` (or `?after=`), first from the archive, then live."""
    return await log_stream.answer(request, lambda user, after: _prepare(user, job_id, number, after))


def _prepare(user: User, job_id: str, number: int | None, after: int) -> Tail:
    job = access.job_for(user, job_id, Right.VIEW)
    attempts = job.attempts.select_related("allocation").order_by("-number")
    attempt = attempts.first() if number is None else access.attempt_of(job, number)
    allocation = attempt.allocation if attempt else None
    return allocation, log_stream.backlog(allocation, after), stream.LIFETIME_SECONDS
