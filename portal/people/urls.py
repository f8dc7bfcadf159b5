"""Routes of people and teams."""

from django.urls import path

from portal.people import views

urlpatterns = [
    path("people/", views.everybody, name="people"),
    path("people/teams/", views.add_team, name="people-team"),
    path("people/teams/<slug:slug>/", views.team, name="team"),
    path("people/<str:user_id>/", views.person, name="person"),
    path("people/<str:user_id>/leave/", views.leave, name="person-leave"),
    path("people/<str:user_id>/password/", views.reset_password, name="person-password"),
    path("people/<str:user_id>/suspend/", views.suspend, name="person-suspend"),
    path("people/<str:user_id>/state/", views.state, name="person-state"),
]
