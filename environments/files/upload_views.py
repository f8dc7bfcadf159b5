"""Uploads from pages: by a plain form, and in pieces by tus.py, which resumes."""

from collections.abc import Callable
from contextlib import closing

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods, require_POST

from environments.files import access, pages, tus, uploads
from environments.files.access import Place
from environments.files.forms import IntoVolume, Staged
from environments.files.views import folder_page, names_of
from portal.accounts.access import signed_in
from portal.accounts.models import User
from portal.lib.errors import Invalid, Problem


@csrf_exempt  # the form below checks it, after saying where its files go
@login_required
@require_POST
def form(request: HttpRequest, key: str, path: str = "") -> HttpResponse:
    """All files of the form, or none of those that come after one that does not fit."""
    user = signed_in(request.user)
    place, names = access.place_for(user, key, write=True), names_of(path)
    with closing(IntoVolume(request, place, names, user)) as handler:
        request.upload_handlers = [handler]
        try:
            return _take(request, place, names)
        except Problem as problem:
            found = pages.look(place, names) or {}
            error = " ".join(problem.fields.get("files", problem.fields.get("name", [problem.detail])))
            status = problem.status if problem.status in (413, 507) else 422
            return folder_page(request, place, names, status, **found, upload_error=error)


@csrf_protect
def _take(request: HttpRequest, place: Place, names: tuple[str, ...]) -> HttpResponse:
    staged = [one for one in request.FILES.getlist("files") if isinstance(one, Staged)]
    if not staged:
        raise Invalid.field("files", "Choose at least one file.")
    done = [uploads.complete(one.upload, one.size or 0, actor=signed_in(request.user).username) for one in staged]
    messages.success(request, f"{done[0]} is here." if len(done) == 1 else f"{len(done)} files are here.")
    return redirect(pages.url(place, "browse", "/".join(names)))


@login_required
@require_POST
def create(request: HttpRequest, key: str, path: str = "") -> HttpResponse:
    user = signed_in(request.user)
    return _told(lambda: tus.create(request, user, _place(user, key), names_of(path), "files-upload"))


@login_required
@require_http_methods(["HEAD", "PATCH", "DELETE"])
def one(request: HttpRequest, upload_id: str) -> HttpResponse:
    user = signed_in(request.user)
    match request.method:
        case "PATCH":
            return _told(lambda: tus.append(request, user, upload_id))
        case "DELETE":
            return _told(lambda: tus.cancel(user, upload_id))
        case _:
            return _told(lambda: tus.offset(user, upload_id))


def _place(user: User, key: str) -> Place:
    return access.place_for(user, key, write=True)


def _told(answer: Callable[[], HttpResponse]) -> HttpResponse:
    """A refusal is a sentence that the script puts beside the file."""
    try:
        return answer()
    except Problem as problem:
        text = " ".join(text for texts in problem.fields.values() for text in texts) or problem.detail
        kind = "text/plain; charset=utf-8"
        return HttpResponse(text, status=problem.status, content_type=kind, headers=tus.VERSION)
