"""Routes of sweeps and schedules, below `jobs/`."""

from django.urls import path

from jobs import plan_views, schedule_views

urlpatterns = [
    path("sweeps/", plan_views.list_sweeps, name="sweeps"),
    path("sweeps/new/", plan_views.new_sweep, name="sweep-new"),
    path("sweeps/<str:sweep_id>/", plan_views.sweep, name="sweep"),
    path("sweeps/<str:sweep_id>/cancel/", plan_views.cancel_sweep, name="sweep-cancel"),
    path("schedules/", schedule_views.list_schedules, name="schedules"),
    path("schedules/new/", schedule_views.new_schedule, name="schedule-new"),
    path("schedules/<str:schedule_id>/", schedule_views.schedule, name="schedule"),
    path("schedules/<str:schedule_id>/edit/", schedule_views.change_schedule, name="schedule-edit"),
    path("schedules/<str:schedule_id>/pause/", schedule_views.pause, name="schedule-pause"),
    path("schedules/<str:schedule_id>/resume/", schedule_views.resume, name="schedule-resume"),
    path("schedules/<str:schedule_id>/delete/", schedule_views.delete, name="schedule-delete"),
]
