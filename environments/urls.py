"""Routes of workspaces, images and log tails."""

from django.urls import path

from environments import image_views, live_views, views

urlpatterns = [
    path("workspaces/", views.list_workspaces, name="workspaces"),
    path("workspaces/new/", views.new, name="workspace-new"),
    path("workspaces/new/<slug:slug>/", views.launch, name="workspace-launch"),
    path("workspaces/relaunch/", views.relaunch, name="workspace-relaunch"),
    path("workspaces/<str:workspace_id>/", views.detail, name="workspace"),
    path("workspaces/<str:workspace_id>/part/<slug:name>/", views.fragment, name="workspace-fragment"),
    path("workspaces/<str:workspace_id>/log/", views.download_log, name="workspace-log"),
    path("workspaces/<str:workspace_id>/start/", views.start, name="workspace-start"),
    path("workspaces/<str:workspace_id>/stop/", views.stop, name="workspace-stop"),
    path("workspaces/<str:workspace_id>/restart/", views.restart, name="workspace-restart"),
    path("workspaces/<str:workspace_id>/rename/", views.rename, name="workspace-rename"),
    path("workspaces/<str:workspace_id>/delete/", views.delete, name="workspace-delete"),
    path("images/", image_views.list_images, name="images"),
    path("images/<slug:name>/", image_views.detail, name="image"),
    path("images/<slug:name>/part/", image_views.fragment, name="image-fragment"),
    path("images/<slug:name>/build/", image_views.build, name="image-build"),
    path("live/logs/<str:workspace_id>/", live_views.tail, name="live-log"),
]
