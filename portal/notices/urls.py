"""Routes of notices and webhooks."""

from django.urls import path

from portal.notices import views, webhook_views

urlpatterns = [
    path("notices/", views.notices, name="notices"),
    path("notices/bell/", views.bell, name="notices-bell"),
    path("notices/read/", views.read, name="notices-read"),
    path("notices/mail/", views.choose_mail, name="notices-mail"),
    path("webhooks/", webhook_views.webhooks, name="webhooks"),
    path("webhooks/<str:webhook_id>/switch/", webhook_views.switch, name="webhook-switch"),
    path("webhooks/<str:webhook_id>/test/", webhook_views.test, name="webhook-test"),
    path("webhooks/<str:webhook_id>/delete/", webhook_views.delete, name="webhook-delete"),
]
