"""What nginx asks: may this request pass, and what is this ticket worth."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import escape
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_safe

from environments import addresses
from portal.gateway import access, actions, pages, places, services
from portal.lib.errors import Forbidden

REFUSED = 403
NOTHING_SHOWN = 401
"""nginx's auth_request knows these two refusals only; anything else is an error to it."""


@require_safe
def authorise(request: HttpRequest) -> HttpResponse:
    """200 with where to go and what to bring, only on proven access; 401 or 403 otherwise. Sets no cookie."""
    sent = request.headers
    asked = access.Asked(
        workspace=sent.get("X-Berth-Workspace", ""),
        host=sent.get("X-Original-Host", ""),
        origin=sent.get("X-Original-Origin", ""),
        upgrade=bool(sent.get("X-Original-Upgrade")),
        unsafe=sent.get("X-Original-Method") != "safe",
        session=sent.get("X-Berth-Cookie", ""),
        token=sent.get("X-Berth-Token", ""),
        visit=bool(sent.get("X-Original-Visit")),
        poll=bool(sent.get("X-Original-Poll")),
    )
    try:
        passed = access.judge(asked)
    except access.Refused as refused:
        status = NOTHING_SHOWN if refused.why == "signed-out" else REFUSED
        return HttpResponse(status=status, headers={"X-Berth-Why": refused.why})
    return _way(passed)


@require_safe
def authorise_job(request: HttpRequest) -> HttpResponse:
    """The same for a job and its team's tracking server: 401 to strangers, 403 where that does not run."""
    sent = request.headers
    try:
        passed = services.judge(sent.get("X-Berth-Workspace", ""), sent.get("X-Berth-Token", ""))
    except access.Refused as refused:
        if refused.why == "forbidden":
            return HttpResponse(status=NOTHING_SHOWN)
        return HttpResponse(status=REFUSED, headers={"X-Berth-Why": "not-running"})
    return _way(passed)


def _way(passed: access.Passed) -> HttpResponse:
    if passed.counts:
        actions.note_activity(passed.workspace, passed.last_activity_at)
    return HttpResponse(
        headers={
            "X-Berth-Upstream": passed.upstream,
            "X-Berth-Authorization": passed.authorization,
            "X-Berth-Secret": passed.secret,
            "X-Berth-Session": passed.key,
        }
    )


@never_cache
@require_GET
def enter(request: HttpRequest) -> HttpResponse:
    """Exchange `?ticket=` for a cookie of the workspace's own, and go to its first page."""
    workspace, host = request.headers.get("X-Berth-Workspace", ""), request.headers.get("X-Original-Host", "")
    try:
        new = actions.enter(request.GET.get("ticket", ""), workspace, host)
    except Forbidden:
        page = pages.page("forbidden").replace("$workspace", escape(workspace))
        return HttpResponse(page, status=REFUSED, headers=pages.HEADERS)
    where = addresses.prefix(workspace)
    response = HttpResponseRedirect(where)
    response.headers["Referrer-Policy"] = "no-referrer"
    response.set_cookie(
        places.cookie_name(),
        new.secret,
        max_age=int(actions.SESSION_LIFETIME.total_seconds()),
        path=where,
        secure=places.secure(),
        httponly=True,
        samesite="Lax",
    )
    return response
