"""Downloads of what jobs left; the gateway sends them to the process `files`."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from jobs import access, artifacts
from jobs.access import Right
from portal.accounts.access import signed_in


@login_required
@require_safe
def archive(request: HttpRequest, job_id: str) -> HttpResponseBase:
    """All of it as one zip."""
    return artifacts.all_of(access.job_for(signed_in(request.user), job_id, Right.READ))
