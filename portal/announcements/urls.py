"""Routes of announcements."""

from django.urls import path

from portal.announcements import views

urlpatterns = [
    path("announcements/", views.announcements, name="announcements"),
    path("announcements/banner/", views.banner, name="announcements-banner"),
    path("announcements/<str:announcement_id>/", views.change, name="announcement"),
    path("announcements/<str:announcement_id>/end/", views.end, name="announcement-end"),
    path("announcements/<str:announcement_id>/dismiss/", views.dismiss, name="announcement-dismiss"),
]
