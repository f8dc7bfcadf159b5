"""Routes of files; the gateway sends all of them to the process `files`."""

from django.urls import path

from environments.files import upload_views, views

urlpatterns = [
    path("", views.index, name="files"),
    path("uploads/<str:upload_id>/", upload_views.one, name="files-upload"),
    path("<slug:key>/", views.browse, name="files-place"),
    path("<slug:key>/make/", views.make, name="files-make"),
    path("<slug:key>/browse/<path:path>", views.browse, name="files-browse"),
    path("<slug:key>/download/<path:path>", views.download, name="files-download"),
    path("<slug:key>/picture/<path:path>", views.picture, name="files-picture"),
    path("<slug:key>/rename/<path:path>", views.rename, name="files-rename"),
    path("<slug:key>/delete/<path:path>", views.delete, name="files-delete"),
    path("<slug:key>/folder/", views.make_folder, name="files-folder-top"),
    path("<slug:key>/folder/<path:path>", views.make_folder, name="files-folder"),
    path("<slug:key>/form/", upload_views.form, name="files-form-top"),
    path("<slug:key>/form/<path:path>", upload_views.form, name="files-form"),
    path("<slug:key>/upload/", upload_views.create, name="files-create-top"),
    path("<slug:key>/upload/<path:path>", upload_views.create, name="files-create"),
]
