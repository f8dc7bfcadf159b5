"""Pages of announcements: the list, publishing, changing and ending for administrators; the banner for everybody."""

from collections.abc import Callable
from dataclasses import asdict

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from portal.accounts.access import signed_in
from portal.accounts.models import User
from portal.announcements import access, actions
from portal.announcements.actions import Wording
from portal.announcements.forms import AnnouncementForm
from portal.announcements.models import Announcement
from portal.lib import refusals
from portal.lib.errors import Forbidden, Invalid

PAGE_SIZE = 25


def _administrator(request: HttpRequest) -> User:
    user = signed_in(request.user)
    if not user.is_staff:
        raise Forbidden("Only administrators announce something to everybody.")
    return user


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def announcements(request: HttpRequest) -> HttpResponse:
    """POST publishes."""
    admin = _administrator(request)
    form = AnnouncementForm(request.POST or None)
    if _accepted(request, form, lambda wanted: actions.announce(wanted, actor=admin.username)):
        messages.success(request, "Published.")
        return redirect("announcements")
    page = Paginator(Announcement.objects.all(), PAGE_SIZE).get_page(request.GET.get("page"))
    return render(request, "announcements/list.html", {"page": page, "form": form}, status=_status(request))


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def change(request: HttpRequest, announcement_id: str) -> HttpResponse:
    admin = _administrator(request)
    found = access.announcement_for(announcement_id)
    form = AnnouncementForm(request.POST or None, initial=asdict(actions.wording_of(found)))
    if _accepted(request, form, lambda wanted: actions.change(found, wanted, actor=admin.username)):
        messages.success(request, "Saved.")
        return redirect("announcements")
    return render(request, "announcements/edit.html", {"found": found, "form": form}, status=_status(request))


def _accepted(request: HttpRequest, form: AnnouncementForm, action: Callable[[Wording], object]) -> bool:
    if request.method != "POST" or not form.is_valid():
        return False
    try:
        action(form.wording)
    except Invalid as problem:
        refusals.show(form, problem)
        return False
    return True


def _status(request: HttpRequest) -> int:
    return 422 if request.method == "POST" else 200


@login_required
@require_POST
def end(request: HttpRequest, announcement_id: str) -> HttpResponse:
    admin = _administrator(request)
    actions.end(access.announcement_for(announcement_id), actor=admin.username)
    messages.success(request, "It is over; nobody sees it any more.")
    return redirect("announcements")


@login_required
@require_POST
def dismiss(request: HttpRequest, announcement_id: str) -> HttpResponse:
    """Only for who asks; they stay on the page they are on."""
    actions.dismiss(access.announcement_for(announcement_id), signed_in(request.user))
    if request.headers.get("HX-Request"):
        return render(request, "announcements/banner.html")
    return redirect("home")


@login_required
@require_safe
def banner(request: HttpRequest) -> HttpResponse:
    return render(request, "announcements/banner.html")
