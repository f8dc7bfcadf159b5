"""On every page: its content security policy, the reader's time zone, and expected failures as the API words them."""

from collections.abc import Callable
from functools import cache
from zoneinfo import available_timezones

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render, resolve_url
from django.utils import timezone

from environments import addresses
from portal.lib.errors import Problem

GetResponse = Callable[[HttpRequest], HttpResponseBase]
PAGES = {400, 403, 404, 409, 429}


def _policy() -> str:
    workspaces = addresses.origin("*") if not addresses.path_mode() else addresses.origin("")
    return (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        f"form-action 'self' {workspaces}; frame-ancestors 'none'"
    )


def content_security_policy(get_response: GetResponse) -> GetResponse:
    policy = _policy()
    relaxed = policy.replace(
        "default-src 'self'",
        "default-src 'self'; style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline'",
    )  # Swagger's page sets itself up inline

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        is_docs = request.path == "/api/v1/docs/"
        response.headers.setdefault("Content-Security-Policy", relaxed if is_docs else policy)
        return response

    return middleware


def time_zone(get_response: GetResponse) -> GetResponse:
    """Pages tell times in the zone that the browser's script has put into a cookie, else in UTC; the API in UTC."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        wanted = request.COOKIES.get("zone", "")
        told = wanted in _zones() and not request.path.startswith("/api/")
        with timezone.override(wanted if told else "UTC"):
            return get_response(request)

    return middleware


@cache
def _zones() -> set[str]:
    return available_timezones()


class problems:  # noqa: N801 - a middleware is named like a function in settings
    """Turns a Problem raised in a page's view into its error page; validation belongs to forms, as 422."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        to_sign_in = response.status_code == 302 and response["Location"].startswith(resolve_url(settings.LOGIN_URL))
        if to_sign_in and request.headers.get("HX-Request"):  # a part of a page takes the whole page there
            return HttpResponse(status=401, headers={"HX-Redirect": resolve_url(settings.LOGIN_URL)})
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, Problem):
            return None
        page = error.status if error.status in PAGES else 400
        context = {"message": error.detail, "next": error.next_step}
        return render(request, f"errors/{page}.html", context, status=error.status)
