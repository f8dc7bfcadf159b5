"""Pages of usage and cost and of busy hours, usage as CSV, and a month in the columns of FOCUS."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from portal.accounts import saved_views
from portal.accounts.access import signed_in
from portal.lib import spreadsheets
from portal.lib.errors import Invalid
from portal.lib.refusals import sentence_of
from portal.usage import busy, focus, pages


@login_required
@require_safe
def usage(request: HttpRequest) -> HttpResponse:
    """The query chooses `scope`, `period`, `by`, and narrows by any group, such as `user=vera`."""
    user = signed_in(request.user)
    wanted = pages.asked(user, request.GET.dict())
    return render(request, "usage/usage.html", pages.page(user, wanted) | {"title": pages.title(wanted)})


@login_required
@require_POST
def save_view(request: HttpRequest) -> HttpResponse:
    """The page as it is narrowed now, under a name."""
    user = signed_in(request.user)
    query = pages.asked(user, request.POST.dict()).query()
    try:
        saved_views.save(user, pages.PAGE, request.POST.get("view", ""), query, actor=user.username)
    except Invalid as problem:
        messages.error(request, sentence_of(problem))
    return redirect(f"{reverse(pages.PAGE)}?{query}")


@login_required
@require_POST
def forget_view(request: HttpRequest, view_id: int) -> HttpResponse:
    user = signed_in(request.user)
    saved_views.forget(user, pages.PAGE, view_id, actor=user.username)
    return redirect(pages.PAGE)


@login_required
@require_safe
def busy_hours(request: HttpRequest) -> HttpResponse:
    """The query chooses `scope` and `meter`."""
    return render(request, "usage/busy.html", busy.page(signed_in(request.user), request.GET.dict()))


@login_required
@require_safe
def export(request: HttpRequest) -> StreamingHttpResponse:
    """A line for each day and group of what the page shows."""
    wanted = pages.asked(signed_in(request.user), request.GET.dict())
    return spreadsheets.download(f"berth-usage-{wanted.period}-by-{wanted.by}.csv", pages.lines(wanted))


@login_required
@require_safe
def export_focus(request: HttpRequest) -> StreamingHttpResponse:
    """`?month=2026-11`; by default this month."""
    return focus.download(signed_in(request.user), request.GET.get("month", ""))
