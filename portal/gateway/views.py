"""What nginx asks and fetches: may this request pass, the exchange of a ticket, and the page for those who may not."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_safe

from django.conf import settings
from environments import addresses
from portal.gateway import access, actions, places
from portal.lib.errors import Forbidden

REFUSED = 403
NOTHING_SHOWN = 401
"""nginx's auth_request knows these two refusals only; anything else is an error to it."""

PAGES = {
    "signed-out": (NOTHING_SHOWN, "Open this workspace from Berth", "This browser has not been let in yet."),
    "ended": (REFUSED, "Open this workspace again from Berth", "You signed out, it was stopped, or your time was up."),
    "forbidden": (REFUSED, "This way in is closed", "It may be used up, belong to someone else, or come from another page."),
    "not-running": (503, "This workspace does not run", "Start it again from its page. Its files are kept."),
}


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
    )
    try:
        passed = access.judge(asked)
    except access.Refused as refused:
        status = NOTHING_SHOWN if refused.why == "signed-out" else REFUSED
        return HttpResponse(status=status, headers={"X-Berth-Why": refused.why})
    actions.note_activity(passed.workspace)
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
        return _page(request, "forbidden")
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


@never_cache
@require_safe
def denied(request: HttpRequest) -> HttpResponse:
    return _page(request, request.headers.get("X-Berth-Why", ""))


def _page(request: HttpRequest, why: str) -> HttpResponse:
    """A page for a person who goes there, a sentence for a program or a part of a page."""
    status, title, sentence = PAGES.get(why, PAGES["forbidden"])
    if not _by_a_person(request):
        return HttpResponse(f"{title}. {sentence}\n", status=status, content_type="text/plain; charset=utf-8")
    workspace = request.headers.get("X-Berth-Workspace", "").upper()
    context = {"title": title, "sentence": sentence, "portal": settings.PORTAL_URL, "workspace": workspace}
    response = render(request, "gateway/denied.html", context, status=status)
    response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _by_a_person(request: HttpRequest) -> bool:
    mode = request.headers.get("Sec-Fetch-Mode")
    return mode == "navigate" if mode else "text/html" in request.headers.get("Accept", "")
