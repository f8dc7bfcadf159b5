"""Pages of one job: the form, the job and its fragments, and its buttons."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from jobs import access, actions, again, data_use, job_file, pages, submit_page, tensorboard
from jobs.access import Right
from jobs.file_form import FileForm
from jobs.models import Job
from jobs.submission import Submission
from jobs.submit_form import SubmitForm
from portal.accounts.access import signed_in
from portal.accounts.models import User
from portal.compute.answers import text_answer
from portal.compute.log_reading import lines_after
from portal.lib.errors import Conflict, Invalid, NotFound
from portal.lib.refusals import sentence_of

FRAGMENTS = ("header", "facts", "plots", "use", "attempts", "artifacts")


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    user = signed_in(request.user)
    base = submit_page.first_values(user, request.GET)
    if request.method != "POST":
        return _form_page(request, _form(user, base), base)
    form = _form(user, base, request.POST)
    if form.is_valid():
        try:
            return redirect("job", actions.submit(user, form.asked, actor=user.username).pk)
        except Invalid as problem:
            form.refuse(problem)
    return _form_page(request, form, form.asked, status=422)


@login_required
@require_POST
def preview(request: HttpRequest) -> HttpResponse:
    """The page as it would be with what is in the form now; nothing is complained about, nothing is done."""
    user = signed_in(request.user)
    asked = _form(user, submit_page.first_values(user, request.GET), request.POST).asked
    return _form_page(request, _form(user, asked), asked)


@login_required
@require_POST
def review(request: HttpRequest) -> HttpResponse:
    """The form as a file, with what it would cost; what is refused stands in the form."""
    user = signed_in(request.user)
    form = _form(user, submit_page.first_values(user, request.GET), request.POST)
    if form.is_valid():
        try:
            found = submit_page.review(user, form.asked)
            return render(request, "jobs/file.html", found | {"form": FileForm(initial={"text": found["text"]})})
        except Invalid as problem:
            form.refuse(problem)
    return _form_page(request, form, form.asked, status=422)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def new_file(request: HttpRequest) -> HttpResponse:
    """Submit a file that was pasted or uploaded, or look at it first."""
    user = signed_in(request.user)
    if request.method != "POST":
        return render(request, "jobs/file.html", {"form": FileForm()})
    form = FileForm.sent(request.POST, request.FILES)
    found: dict[str, Any] = {}
    with form.complaining(), job_file.located(form.content) as asked:
        if "review" not in request.POST:
            return redirect("job", actions.submit(user, asked, actor=user.username).pk)
        found = submit_page.review(user, asked)
    return render(request, "jobs/file.html", found | {"form": form}, status=422 if form.errors else 200)


def _form(user: User, base: Submission, data: QueryDict | None = None) -> SubmitForm:
    return SubmitForm(data, **submit_page.choices(user, base))


def _form_page(request: HttpRequest, form: SubmitForm, asked: Submission, status: int = 200) -> HttpResponse:
    context = {"form": form, "begun_with": f"?{request.GET.urlencode()}" if request.GET else ""}
    context |= submit_page.size_context(signed_in(request.user), asked)
    return render(request, "jobs/new.html", context, status=status)


@login_required
@require_safe
def detail(request: HttpRequest, job_id: str) -> HttpResponse:
    user = signed_in(request.user)
    job = access.job_for(user, job_id, Right.VIEW)
    return render(request, "jobs/detail.html", pages.detail(user, job) | {"log": pages.log(job, request.GET)})


@login_required
@require_safe
def fragment(request: HttpRequest, job_id: str, name: str) -> HttpResponse:
    """One live part of a page; access is checked again each time."""
    user = signed_in(request.user)
    job = access.job_for(user, job_id, Right.VIEW)
    if name == "row":
        return render(request, "jobs/row.html", {"card": pages.job_cards([job])[0], "select": "select" in request.GET})
    if name == "log":
        return render(request, "components/log.html", {"log": pages.log(job, request.GET)})
    if name not in FRAGMENTS:
        raise NotFound("There is no such part of a page.")
    return render(request, f"jobs/detail.html#{name}", pages.detail(user, job))


@login_required
@require_safe
def download_log(request: HttpRequest, job_id: str, number: int) -> StreamingHttpResponse:
    """The whole archived log of one attempt as inert text."""
    job = access.job_for(signed_in(request.user), job_id, Right.VIEW)
    return text_answer(lines_after(access.attempt_of(job, number).allocation), f"{job.pk}-{number}.log")


def _button(request: HttpRequest, job_id: str, right: Right, action: Callable[[Job, User], Job | None]) -> HttpResponse:
    """Do one thing and show the job it leads to."""
    user = signed_in(request.user)
    job = access.job_for(user, job_id, right)
    try:
        job = action(job, user) or job
    except (Conflict, Invalid) as problem:
        messages.error(request, sentence_of(problem))
    return redirect("job", job.pk)


@login_required
@require_POST
def cancel(request: HttpRequest, job_id: str) -> HttpResponse:
    return _button(request, job_id, Right.CANCEL, lambda job, user: actions.cancel(job, actor=user.username))


@login_required
@require_POST
def rerun(request: HttpRequest, job_id: str) -> HttpResponse:
    def repeat(job: Job, user: User) -> Job:
        made = actions.rerun(job, user, actor=user.username)
        if sentence := data_use.changed(job):
            messages.warning(request, sentence)
        if sentence := again.image_kept(job):
            messages.info(request, sentence)
        return made

    return _button(request, job_id, Right.RERUN, repeat)


@login_required
@require_POST
def open_tensorboard(request: HttpRequest, job_id: str) -> HttpResponse:
    user = signed_in(request.user)
    job = access.job_for(user, job_id, Right.READ)
    try:
        workspace = tensorboard.start(user, job, actor=user.username)
    except (Conflict, Invalid) as problem:
        messages.error(request, sentence_of(problem))
        return redirect("job", job.pk)
    return redirect("workspace", workspace.pk)


@login_required
@require_POST
def pin(request: HttpRequest, job_id: str) -> HttpResponse:
    return _button(request, job_id, Right.READ, lambda job, user: actions.pin(job, not job.pinned, actor=user.username))
