"""Routes of limits, requests and approvals."""

from django.urls import path

from portal.approvals import delegation_views, views

urlpatterns = [
    path("quota/", views.limits, name="quota"),
    path("quota/ask/", views.ask, name="quota-ask"),
    path("quota/ask/preview/", views.preview, name="quota-ask-preview"),
    path("quota/requests/<str:request_id>/", views.detail, name="quota-request"),
    path("quota/requests/<str:request_id>/decide/", views.decide, name="quota-decide"),
    path("quota/requests/<str:request_id>/answer/", views.answer, name="quota-answer"),
    path("quota/requests/<str:request_id>/withdraw/", views.withdraw, name="quota-withdraw"),
    path("quota/requests/<str:request_id>/revoke/", views.revoke, name="quota-revoke"),
    path("approvals/", views.inbox, name="approvals"),
    path("approvals/delegate/", delegation_views.delegate, name="delegate"),
    path("approvals/delegations/<str:delegation_id>/revoke/", delegation_views.take_back, name="delegation-revoke"),
]
