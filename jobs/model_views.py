"""Pages of models: the list, one with its versions, one version, and what can be done with them."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from jobs import access, model_access, model_downloads, model_pages, registry
from jobs.access import Right
from jobs.model_answers import counted
from jobs.model_forms import KeepForm
from jobs.model_models import Model, ModelVersion
from jobs.models import Job
from portal.accounts.access import signed_in
from portal.lib import words
from portal.lib.errors import Conflict, Forbidden, Invalid

PAGE_SIZE = 50
VERSIONS = 20


@login_required
@require_safe
def list_models(request: HttpRequest) -> HttpResponse:
    user = signed_in(request.user)
    page = Paginator(model_access.visible_to(user), PAGE_SIZE).get_page(request.GET.get("page"))
    return render(request, "jobs/models.html", {"models": counted(list(page.object_list)), "page": page})


@login_required
@require_safe
def model(request: HttpRequest, team: str, name: str) -> HttpResponse:
    user = signed_in(request.user)
    found = model_access.model_for(user, name, team)
    versions = ModelVersion.objects.select_related("model__team", "job", "created_by").filter(model=found)
    page = Paginator(versions, VERSIONS).get_page(request.GET.get("page"))
    rows = model_pages.shown(user, found, list(page.object_list))
    context = {"model": found, "rows": rows, "page": page, "live_topics": [found.topic]}
    return render(request, "jobs/model.html", context)


def _version(request: HttpRequest, team: str, name: str, number: int) -> ModelVersion:
    return model_access.version_of(model_access.model_for(signed_in(request.user), name, team), number)


@login_required
@require_safe
def version(request: HttpRequest, team: str, name: str, number: int) -> HttpResponse:
    found = _version(request, team, name, number)
    return render(request, "jobs/model_version.html", model_pages.version_page(signed_in(request.user), found))


@login_required
@require_safe
def download(request: HttpRequest, team: str, name: str, number: int) -> HttpResponseBase:
    """The gateway sends this to the process `files`."""
    found = _version(request, team, name, number)
    model_access.require_read(signed_in(request.user), found.model)
    return model_downloads.send(request, found)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, team: str, name: str, number: int) -> HttpResponse:
    """GET asks and says what will be lost, POST does it."""
    user, found = signed_in(request.user), _version(request, team, name, number)
    model_access.require_delete(user, found)
    if request.method != "POST":
        return render(request, "confirm.html", _question(found))
    try:
        registry.delete(found, actor=user.username)
        messages.success(request, f"{found} is deleted.")
    except Conflict as problem:
        messages.error(request, problem.detail)
    return redirect(found.get_absolute_url())


def _question(found: ModelVersion) -> dict[str, Any]:
    count = "1 file" if found.files == 1 else f"{found.files:,} files"
    return {
        "title": f"Delete {found}?",
        "sentence": "Jobs can no longer use it. Its number is not given again.",
        "losses": [f"{found.path}: {count}, {words.size(found.size)}, as this version"],
        "keeps": [f"The files of the job {found.job.name}, until somebody lets them go", "The record of this version"],
        "action_url": f"{found.get_absolute_url()}delete/",
        "action_label": "Delete version",
        "cancel_url": found.get_absolute_url(),
    }


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def keep(request: HttpRequest, job_id: str) -> HttpResponse:
    user = signed_in(request.user)
    job = access.job_for(user, job_id, Right.READ)
    if not model_access.may_keep(user, job):
        raise Forbidden(f"This job has nothing that you could keep for {job.team.name}.")
    form = KeepForm(request.POST or None, paths=model_pages.paths_of(job))
    if request.method == "POST" and form.is_valid():
        try:
            return redirect(registry.keep(user, job, form.asked, actor=user.username).get_absolute_url())
        except (Conflict, Invalid) as problem:
            form.refuse(problem)
    return render(request, "jobs/model_keep.html", _keep_context(job, form), status=422 if form.is_bound else 200)


def _keep_context(job: Job, form: KeepForm) -> dict[str, Any]:
    names = Model.objects.filter(team=job.team).order_by("name").values_list("name", flat=True)
    return {"job": job, "form": form, "names": names[:200]}
