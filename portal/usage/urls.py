"""Routes of usage and cost."""

from django.urls import path

from portal.usage import budget_views, price_views, statement_views, views

urlpatterns = [
    path("usage/", views.usage, name="usage"),
    path("usage/budgets/<slug:slug>/", budget_views.budget, name="usage-budget"),
    path("usage/busy/", views.busy_hours, name="usage-busy"),
    path("usage/export/", views.export, name="usage-export"),
    path("usage/export/focus.csv", views.export_focus, name="usage-export-focus"),
    path("usage/views/save/", views.save_view, name="usage-view-save"),
    path("usage/views/<int:view_id>/forget/", views.forget_view, name="usage-view-forget"),
    path("usage/prices/", price_views.simulate, name="usage-prices"),
    path("usage/prices/export/", price_views.export, name="usage-prices-export"),
    path("usage/statements/", statement_views.statements, name="usage-statements"),
    path("usage/statements/<str:pk>/", statement_views.statement, name="usage-statement"),
    path("usage/statements/<str:pk>/export/", statement_views.export, name="usage-statement-export"),
]
