"""All routes: pages, API, live streams, gateway, health."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import include, path

urlpatterns = [
    path("", include("portal.ui.urls")),
    path("", include("portal.accounts.urls")),
    path("", include("environments.urls")),
    path("", include("portal.live.urls")),
    path("", include("portal.gateway.urls")),
    path("api/v1/", include("portal.api.urls")),
]

handler400 = "portal.ui.views.bad_request"
handler403 = "portal.ui.views.forbidden"
handler404 = "portal.ui.views.not_found"
handler500 = "portal.urls.server_error"


def server_error(request: HttpRequest) -> HttpResponse:
    """Problem+json for the API, a page that needs nothing for everybody else."""
    if request.path.startswith("/api/"):
        from portal.api.views import server_error as api_error

        return api_error(request)
    return render(None, "errors/500.html", status=500)
