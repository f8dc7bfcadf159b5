"""Pages of sweeps: the list, the form, one sweep with its results, and its end."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from jobs import plan_access, submit_page, sweep_results, sweeps
from jobs.access import Right, rights_on
from jobs.plan_forms import SweepForm, written
from jobs.plan_models import Sweep
from jobs.sweep_results import COLUMNS, PARAMETER, Result
from portal.accounts.access import signed_in
from portal.lib import plots
from portal.lib.errors import Invalid, NotFound

PAGE_SIZE = 50
POINTS = 100


@login_required
@require_safe
def list_sweeps(request: HttpRequest) -> HttpResponse:
    user = signed_in(request.user)
    page = Paginator(plan_access.sweeps_visible_to(user), PAGE_SIZE).get_page(request.GET.get("page"))
    found = sweep_results.progress(list(page.object_list))
    topic = f"jobs-{user.pk}"
    context = {
        "rows": [{"sweep": sweep, **_far(sweep, found.get(sweep.pk, {}))} for sweep in page.object_list],
        "page": page,
        "list_topic": topic,
        "live_topics": [topic],
    }
    return render(request, "jobs/sweeps.html", context)


def _far(sweep: Sweep, found: dict[str, int]) -> dict[str, Any]:
    ended, succeeded = found.get("ended", 0), found.get("succeeded", 0)
    moving = ended < sweep.count
    state = "running" if moving else "succeeded" if succeeded == sweep.count else "stopped"
    if sweep.cancelled_by:
        state = "stopping" if moving else "cancelled"
    word = {"stopped": "Ended"}.get(state, "")
    far = f"{ended} of {sweep.count} ended" + (f", {ended - succeeded} not well" if ended > succeeded else "")
    return {"state": state, "word": word, "far": far, "ended": ended, "moving": moving}


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def new_sweep(request: HttpRequest) -> HttpResponse:
    user = signed_in(request.user)
    first = submit_page.first_values(user, request.GET)
    if request.method != "POST":
        form = SweepForm(**submit_page.choices(user, first))
        return render(request, "jobs/sweep_new.html", {"form": form} | submit_page.size_context(user, first))
    form = SweepForm(request.POST, **submit_page.choices(user, first))
    if form.is_valid():
        try:
            return redirect("sweep", sweeps.submit(user, form.sweep, actor=user.username).pk)
        except Invalid as problem:
            form.refuse(problem)
    context = {"form": form} | submit_page.size_context(user, form.asked)
    return render(request, "jobs/sweep_new.html", context, status=422)


@login_required
@require_safe
def sweep(request: HttpRequest, sweep_id: str) -> HttpResponse:
    user = signed_in(request.user)
    found = plan_access.sweep_for(user, sweep_id, Right.VIEW)
    rows = sweep_results.results(found)
    names = sorted(found.space)
    sort, falling = _sorting(request, names)
    against = request.GET.get("against") or names[0]
    if against not in names:
        raise NotFound(f"{found.name} has no such parameter.")
    page = Paginator(sweep_results.ordered(rows, sort, falling=falling), POINTS).get_page(request.GET.get("page"))
    ended = {"ended": sum(row.state in sweep_results.ENDED for row in rows)}
    succeeded = {"succeeded": sum(row.state == "succeeded" for row in rows)}
    context = {
        "sweep": found,
        **_far(found, ended | succeeded),
        "best": (best := sweep_results.best_of(found, rows)),
        "best_value": plots.number(best.best) if best and best.best is not None else "",
        "heads": _heads(request, found, names, sort, falling),
        "rows": [_row(found, row) for row in page.object_list],
        "page": page,
        "query": _query(request, page=None),
        "plot": sweep_results.drawing(found, rows, against) if found.metric else "",
        "against": against,
        "axes": [{"name": name, "url": _query(request, against=name)} for name in names],
        "space": written(found.space),
        "total": sweep_results.total(rows),
        "may_cancel": Right.CANCEL in rights_on(user, found),
        "own_topic": f"jobs-{found.owner_id}",
        "live_topics": [found.topic, f"jobs-{found.owner_id}"],
    }
    return render(request, "jobs/sweep.html", context)


def _sorting(request: HttpRequest, names: list[str]) -> tuple[str, bool]:
    """`?sort=best` rises, `?sort=-best` falls."""
    asked = request.GET.get("sort", "point")
    column = asked.removeprefix("-")
    if column not in COLUMNS and column.removeprefix(PARAMETER) not in names:
        raise NotFound("There is no such column.")
    return column, asked.startswith("-")


def _heads(request: HttpRequest, found: Sweep, names: list[str], sort: str, falling: bool) -> list[dict[str, Any]]:
    columns = [("point", "Point"), *((f"{PARAMETER}{name}", name) for name in names), ("state", "State")]
    if found.metric:
        columns += [("best", f"Best {found.metric}"), ("last", f"Last {found.metric}")]
    return [
        {
            "label": label,
            "url": _query(request, sort=f"-{column}" if column == sort and not falling else column),
            "sorted": ("descending" if falling else "ascending") if column == sort else "",
        }
        for column, label in [*columns, ("duration", "Ran for"), ("cost", "Cost")]
    ]


def _query(request: HttpRequest, **changed: str | None) -> str:
    query = QueryDict(mutable=True)
    kept = {name: request.GET.get(name) for name in ("sort", "against")} | changed
    query.update({name: value for name, value in kept.items() if value})
    return query.urlencode()


def _row(found: Sweep, row: Result) -> dict[str, Any]:
    values = [plots.number(value) if value is not None else "—" for value in (row.best, row.last)]
    return {"result": row, "told": values if found.metric else []}


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def cancel_sweep(request: HttpRequest, sweep_id: str) -> HttpResponse:
    """GET asks, POST does."""
    user = signed_in(request.user)
    found = plan_access.sweep_for(user, sweep_id, Right.CANCEL)
    if request.method == "POST":
        sweeps.cancel(found, actor=user.username)
        messages.success(request, f"{found.name} is cancelled.")
        return redirect("sweep", found.pk)
    question = {
        "title": f"Cancel {found.name}?",
        "sentence": "All its points that have not ended are cancelled.",
        "losses": ["What its running points have not written to their outputs"],
        "keeps": ["Results, logs and files of points that have ended"],
        "action_url": request.path,
        "action_label": "Cancel sweep",
        "cancel_url": found.get_absolute_url(),
    }
    return render(request, "confirm.html", question)
