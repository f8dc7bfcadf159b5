"""All routes: pages, API, live streams, gateway, health."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import include, path

from jobs.live_views import tail

urlpatterns = [
    path("", include("portal.ui.urls")),
    path("", include("portal.accounts.urls")),
    path("", include("portal.notices.urls")),
    path("", include("portal.announcements.urls")),
    path("", include("portal.compute.urls")),
    path("", include("portal.approvals.urls")),
    path("", include("portal.usage.urls")),
    path("", include("portal.people.urls")),
    path("", include("portal.administration.urls")),
    path("", include("environments.urls")),
    path("jobs/", include("jobs.plan_urls")),
    path("jobs/", include("jobs.model_urls")),
    path("jobs/", include("jobs.urls")),
    path("live/jobs/<str:job_id>/log/", tail, name="live-job-log"),
    path("live/jobs/<str:job_id>/log/<int:number>/", tail, name="live-attempt-log"),
    path("files/", include("environments.files.urls")),
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
