"""Pages of many jobs: the list, what is done to those that are selected or found, saved views, and how jobs ended."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from jobs import access, cancelling, comparing, finding, list_page, outcomes
from jobs.access import Right
from jobs.cancelling import MOST, Cancelled
from portal.accounts import saved_views
from portal.accounts.access import signed_in
from portal.lib import spreadsheets
from portal.lib.errors import Invalid
from portal.lib.refusals import sentence_of

NAMED = 5
"""So many refusals are told one by one."""


@login_required
@require_safe
def list_jobs(request: HttpRequest) -> HttpResponse:
    return render(request, "jobs/list.html", list_page.context(signed_in(request.user), request.GET))


@login_required
@require_POST
def cancel_selected(request: HttpRequest) -> HttpResponse:
    user = signed_in(request.user)
    try:
        _tell(request, cancelling.named(user, request.POST.getlist("job"), actor=user.username))
    except Invalid as problem:
        messages.error(request, sentence_of(problem))
    return redirect(_list(request.GET))


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def cancel_found(request: HttpRequest) -> HttpResponse:
    """All that the filter in the address finds, after a question."""
    user = signed_in(request.user)
    rows = finding.matching(user, finding.asked(request.GET))
    if request.method == "POST":
        _tell(request, cancelling.found(rows, actor=user.username))
        return redirect(_list(request.GET))
    return render(request, "confirm.html", _question(cancelling.open_(rows).count(), request.GET))


def _question(number: int, query: QueryDict) -> dict[str, Any]:
    first = f" {MOST} are cancelled at once, the oldest first." if number > MOST else ""
    return {
        "title": f"Cancel {_jobs(number)}?",
        "sentence": f"All that the list shows and that are not over: they end now and are not tried again.{first}",
        "losses": ["What they have not written to a file yet"],
        "keeps": ["Their records, logs, numbers and the files they wrote"],
        "action_url": f"{reverse('jobs-cancel-found')}?{list_page.kept_of(query).urlencode()}",
        "action_label": f"Cancel {_jobs(min(number, MOST))}",
        "cancel_url": _list(query),
    }


def _tell(request: HttpRequest, done: Cancelled) -> None:
    if done.cancelled:
        left = f" {_jobs(done.left)} of these are left: do it again." if done.left else ""
        messages.success(request, f"{_jobs(len(done.cancelled))} cancelled.{left}")
    for refusal in done.refused[:NAMED]:
        messages.error(request, refusal.message)
    if len(done.refused) > NAMED:
        messages.error(request, f"{_jobs(len(done.refused) - NAMED)} more were not cancelled.")
    if not done.cancelled and not done.refused:
        messages.info(request, "There was none to cancel: check those that you mean.")


def _jobs(number: int) -> str:
    return "1 job" if number == 1 else f"{number:,} jobs"


def _list(query: QueryDict) -> str:
    return f"{reverse('jobs')}?{list_page.kept_of(query).urlencode()}"


@login_required
@require_safe
def compare(request: HttpRequest) -> HttpResponse:
    """Those that are named in the address, each of which one must be allowed to see."""
    user = signed_in(request.user)
    wanted = list(dict.fromkeys(request.GET.getlist("job")))
    if not comparing.LEAST <= len(wanted) <= comparing.MOST:
        messages.error(request, f"Select {comparing.LEAST} to {comparing.MOST} jobs to compare them.")
        return redirect("jobs")
    jobs = [access.job_for(user, job_id, Right.VIEW) for job_id in wanted]
    found = comparing.sections(jobs)
    lines = [line for section in found for line in section.lines]
    context = {
        "jobs": jobs,
        "columns": len(jobs) + 1,
        "sections": found,
        "total": len(lines),
        "differing": sum(line.differs for line in lines),
    }
    return render(request, "jobs/compare.html", context)


@login_required
@require_POST
def save_view(request: HttpRequest) -> HttpResponse:
    """The list as it is filtered now, under a name."""
    user, kept = signed_in(request.user), list_page.kept_of(request.POST)
    try:
        saved_views.save(user, list_page.PAGE, request.POST.get("view", ""), kept.urlencode(), actor=user.username)
    except Invalid as problem:
        messages.error(request, sentence_of(problem))
    return redirect(_list(request.POST))


@login_required
@require_POST
def forget_view(request: HttpRequest, view_id: int) -> HttpResponse:
    user = signed_in(request.user)
    saved_views.forget(user, list_page.PAGE, view_id, actor=user.username)
    return redirect("jobs")


@login_required
@require_safe
def show_outcomes(request: HttpRequest) -> HttpResponse:
    """The query chooses `scope`, `period` and `by`."""
    wanted = outcomes.asked(signed_in(request.user), request.GET.dict())
    return render(request, "jobs/outcomes.html", outcomes.page(wanted))


@login_required
@require_safe
def export_outcomes(request: HttpRequest) -> StreamingHttpResponse:
    """A line for each day, environment, person, state and cause of what the page counts."""
    wanted = outcomes.asked(signed_in(request.user), request.GET.dict())
    return spreadsheets.download(f"berth-job-outcomes-{wanted.period}.csv", outcomes.lines(wanted))
