"""Routes of home, opening a workspace, and health."""

from django.urls import path

from portal.ui import health, views

urlpatterns = [
    path("", views.home, name="home"),
    path("workspaces/<str:workspace_id>/open/", views.open_, name="workspace-open"),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
]
