"""Routes of jobs."""

from django.urls import path

from jobs import artifact_views, attempt_views, list_views, views

urlpatterns = [
    path("", list_views.list_jobs, name="jobs"),
    path("cancel/", list_views.cancel_selected, name="jobs-cancel"),
    path("cancel/found/", list_views.cancel_found, name="jobs-cancel-found"),
    path("compare/", list_views.compare, name="jobs-compare"),
    path("outcomes/", list_views.show_outcomes, name="job-outcomes"),
    path("outcomes/export/", list_views.export_outcomes, name="job-outcomes-export"),
    path("views/save/", list_views.save_view, name="job-view-save"),
    path("views/<int:view_id>/forget/", list_views.forget_view, name="job-view-forget"),
    path("new/", views.new, name="job-new"),
    path("new/preview/", views.preview, name="job-new-preview"),
    path("new/review/", views.review, name="job-new-review"),
    path("new/file/", views.new_file, name="job-new-file"),
    path("<str:job_id>/", views.detail, name="job"),
    path("<str:job_id>/part/<slug:name>/", views.fragment, name="job-fragment"),
    path("<str:job_id>/log/<int:number>/", views.download_log, name="job-log"),
    path("<str:job_id>/attempts/", attempt_views.compare, name="job-attempts"),
    path("<str:job_id>/attempts/<int:number>/", attempt_views.detail, name="job-attempt"),
    path("<str:job_id>/attempts/<int:number>/log/", attempt_views.log, name="job-attempt-log"),
    path("<str:job_id>/archive/", artifact_views.archive, name="job-archive"),
    path("<str:job_id>/cancel/", views.cancel, name="job-cancel"),
    path("<str:job_id>/rerun/", views.rerun, name="job-rerun"),
    path("<str:job_id>/pin/", views.pin, name="job-pin"),
    path("<str:job_id>/tensorboard/", views.open_tensorboard, name="job-tensorboard"),
]
