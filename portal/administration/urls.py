"""Routes of the audit record, of the health page and of metrics."""

from django.urls import path

from portal.administration import views
from portal.administration.api import Metrics

urlpatterns = [
    path("audit/", views.audit, name="audit"),
    path("health/", views.health, name="health"),
    path("metrics", Metrics.as_view(), name="metrics"),
]
