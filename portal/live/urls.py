"""Routes of the live stream."""

from django.urls import path

from portal.live import views

urlpatterns = [path("live/", views.names, name="live")]
