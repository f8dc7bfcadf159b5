"""Pages of the attempts of a job: one with its own log, and two side by side."""

from typing import Any

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from environments.pages import use_of
from jobs import access, pages
from jobs.access import Right
from jobs.models import Attempt, Job
from portal.accounts.access import signed_in
from portal.compute import log_reading
from portal.lib.errors import NotFound

TAIL_LINES = 200


class TwoForm(forms.Form):
    """Which two; left out, the last and the one before it."""

    a = forms.IntegerField(required=False, min_value=1)
    b = forms.IntegerField(required=False, min_value=1)


@login_required
@require_safe
def detail(request: HttpRequest, job_id: str, number: int) -> HttpResponse:
    job, attempt = _attempt(request, job_id, number)
    context = {
        "job": job,
        "attempt": pages.attempt_row(attempt),
        "numbers": _numbers(job),
        "log": pages.log_of(job, attempt, request.GET),
        "metrics": use_of(attempt.allocation),
        "live_topics": [job.topic],
    }
    return render(request, "jobs/attempt.html", context)


@login_required
@require_safe
def log(request: HttpRequest, job_id: str, number: int) -> HttpResponse:
    job, attempt = _attempt(request, job_id, number)
    return render(request, "components/log.html", {"log": pages.log_of(job, attempt, request.GET)})


@login_required
@require_safe
def compare(request: HttpRequest, job_id: str) -> HttpResponse:
    """`?a=1&b=2`; what they ended with and the ends of their logs."""
    job = access.job_for(signed_in(request.user), job_id, Right.VIEW)
    form = TwoForm(request.GET)
    if not form.is_valid():
        raise NotFound("There is no such attempt.")
    numbers = _numbers(job)
    b = form.cleaned_data["b"] or (numbers[0] if numbers else 1)
    a = form.cleaned_data["a"] or max(b - 1, 1)
    two = [_side(access.attempt_of(job, number)) for number in (a, b)]
    return render(request, "jobs/attempts.html", {"job": job, "two": two, "numbers": numbers, "a": a, "b": b})


def _attempt(request: HttpRequest, job_id: str, number: int) -> tuple[Job, Attempt]:
    job = access.job_for(signed_in(request.user), job_id, Right.VIEW)
    return job, access.attempt_of(job, number)


def _numbers(job: Job) -> list[int]:
    """Newest first."""
    return list(job.attempts.order_by("-number").values_list("number", flat=True)[: pages.MOST_ATTEMPTS])


def _side(attempt: Attempt) -> dict[str, Any]:
    allocation = attempt.allocation
    return pages.attempt_row(attempt) | {
        "exit_code": allocation.exit_code,
        "tail": log_reading.last_texts(allocation, TAIL_LINES),
    }
