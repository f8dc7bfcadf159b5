"""Pages of files: what there is, a folder, one file, and what can be done with them."""

import os
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from environments.files import access, actions, disk, pages, previews, sending
from environments.files.access import Place
from environments.files.forms import NameForm
from environments.states import VolumeKind
from portal.accounts.access import signed_in
from portal.lib import beneath
from portal.lib.errors import NotFound, Problem
from portal.usage import storage

FOR_WHOM = {
    VolumeKind.HOME: "which all your workspaces share",
    VolumeKind.TEAM: "for everybody in the team",
    VolumeKind.DATASET: "for everybody who reads it",
}
COUNT_SECONDS = 3.0
COUNT_MOST = 100_000


@login_required
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    places = access.places_of(signed_in(request.user))
    versions = pages.newest_versions(places)
    costs = storage.a_month({place.key: place.used or 0 for place in places})
    rows = [
        (place, pages.ICONS[place.kind], pages.meter(place), versions.get(place.key), costs.get(place.key))
        for place in places
    ]
    full = [pages.warning(place) for place in places if place.may_write and place.nearly_full]
    return render(request, "files/index.html", {"rows": rows, "full": full})


@login_required
@require_safe
def browse(request: HttpRequest, key: str, path: str = "") -> HttpResponse:
    place = access.place_for(signed_in(request.user), key)
    names = names_of(path)
    try:
        found = pages.look(place, names)
    except disk.NotMade:
        if names:
            raise NotFound("There is no such file or folder.") from None
        return folder_page(request, place, names, lines=None)
    if found is None:
        return render(request, "files/file.html", pages.file(place, names))
    return folder_page(request, place, names, **found)


def folder_page(
    request: HttpRequest, place: Place, names: tuple[str, ...], status: int = 200, **context: Any
) -> HttpResponse:
    """`lines` is None where the volume is not there yet."""
    full = pages.warning(place) if place.may_write and place.nearly_full else ""
    forms = {"folder_form": NameForm(), "full": full}
    return render(request, "files/folder.html", forms | pages.frame(place, names) | context, status=status)


def names_of(path: str) -> tuple[str, ...]:
    """Of an address: what can be no name does not exist."""
    try:
        return beneath.parts(path)
    except beneath.BadName:
        raise NotFound("There is no such file or folder.") from None


@login_required
@require_POST
def make(request: HttpRequest, key: str) -> HttpResponse:
    user = signed_in(request.user)
    place = access.place_for(user, key, write=True)
    actions.prepare(place, actor=user.username)
    messages.success(request, f"{place.title} is being made. It takes a few seconds once an image is there.")
    return redirect("files-place", key)


def _content(request: HttpRequest, key: str, path: str) -> tuple[int, str]:
    place, names = access.place_for(signed_in(request.user), key), names_of(path)
    return disk.read(actions.volume_of(place), names), names[-1]


@login_required
@require_safe
def download(request: HttpRequest, key: str, path: str) -> HttpResponseBase:
    return sending.send(request, *_content(request, key, path))


@login_required
@require_safe
def picture(request: HttpRequest, key: str, path: str) -> HttpResponseBase:
    descriptor, name = _content(request, key, path)
    kind = previews.picture_type(os.pread(descriptor, 16, 0))
    if kind is None:
        os.close(descriptor)
        raise NotFound("This is no picture.")
    return sending.send(request, descriptor, name, kind)


@login_required
@require_POST
def make_folder(request: HttpRequest, key: str, path: str = "") -> HttpResponse:
    user = signed_in(request.user)
    place, names = access.place_for(user, key, write=True), names_of(path)
    form = NameForm(request.POST)
    if _done(form, lambda name: actions.make_folder(place, names, name, actor=user.username)):
        return redirect(pages.url(place, "browse", "/".join((*names, form.cleaned_data["name"]))))
    found = pages.look(place, names) or {}
    return folder_page(request, place, names, 422, **found, folder_form=form)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def rename(request: HttpRequest, key: str, path: str) -> HttpResponse:
    user = signed_in(request.user)
    place, names = access.place_for(user, key, write=True), names_of(path)
    form = NameForm(request.POST) if request.method == "POST" else NameForm(initial={"name": names[-1]})
    if _done(form, lambda name: actions.rename(place, names, name, actor=user.username)):
        messages.success(request, f"{names[-1]} is now called {form.cleaned_data['name']}.")
        return redirect(pages.url(place, "browse", "/".join(names[:-1])))
    pages.entry(place, names)
    context = pages.frame(place, names) | {"form": form, "back": pages.url(place, "browse", "/".join(names[:-1]))}
    return render(request, "files/rename.html", context, status=422 if form.is_bound else 200)


def _done(form: NameForm, action: Callable[[str], None]) -> bool:
    """Whether the form held a name and the action took it; otherwise the form says why."""
    if not form.is_bound or not form.is_valid():
        return False
    try:
        action(form.cleaned_data["name"])
    except NotFound:
        raise
    except Problem as problem:
        form.add_error("name", " ".join(problem.fields.get("name", [problem.detail])))
        return False
    return True


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, key: str, path: str) -> HttpResponse:
    """GET asks and says what will be lost, POST does it."""
    user = signed_in(request.user)
    place, names = access.place_for(user, key, write=True), names_of(path)
    if request.method != "POST":
        return render(request, "confirm.html", _question(place, names))
    actions.delete(place, names, actor=user.username)
    messages.success(request, f"{names[-1]} is deleted.")
    return redirect(pages.url(place, "browse", "/".join(names[:-1])))


def _question(place: Place, names: tuple[str, ...]) -> dict[str, Any]:
    with disk.opened(actions.volume_of(place)) as root, beneath.folder(root, names[:-1]) as where:
        entry, lost = beneath.entry(where, names[-1]), f"{names[-1]}"
        if entry.kind == "folder":
            with beneath.folder(where, names[-1:]) as inside:
                lost += f": {pages.losses(beneath.extent(inside, seconds=COUNT_SECONDS, most=COUNT_MOST))}"
    return {
        "title": f"Delete {names[-1]}?",
        "sentence": f"It is deleted from {place.inside}, {FOR_WHOM[place.kind]}. This cannot be undone.",
        "losses": [lost],
        "action_url": pages.url(place, "delete", "/".join(names)),
        "action_label": "Delete folder" if entry.kind == "folder" else "Delete file",
        "cancel_url": pages.url(place, "browse", "/".join(names[:-1])),
    }
