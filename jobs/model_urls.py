"""Routes of models, below `jobs/`; the gateway sends downloads to the process `files`."""

from django.urls import path

from jobs import model_views

VERSION = "models/<slug:team>/<slug:name>/<int:number>/"

urlpatterns = [
    path("models/", model_views.list_models, name="models"),
    path("models/<slug:team>/<slug:name>/", model_views.model, name="model"),
    path(VERSION, model_views.version, name="model-version"),
    path(f"{VERSION}download/", model_views.download, name="model-download"),
    path(f"{VERSION}delete/", model_views.delete, name="model-delete"),
    path("<str:job_id>/keep/", model_views.keep, name="job-keep"),
]
