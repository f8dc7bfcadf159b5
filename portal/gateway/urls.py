"""Routes that only nginx reaches; on the portal's host they do not exist."""

from django.urls import path

from portal.gateway import views

urlpatterns = [
    path("gateway/auth", views.authorise),
    path("gateway/job", views.authorise_job),
    path("gateway/enter/", views.enter),
]
