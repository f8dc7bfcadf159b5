"""Routes of signing in of tokens and of keys."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from portal.accounts import views

urlpatterns = [
    path("sign-in/", views.SignIn.as_view(), name="sign-in"),
    path("sign-out/", LogoutView.as_view(), name="sign-out"),
    path("tokens/", views.tokens, name="tokens"),
    path("tokens/<str:token_id>/revoke/", views.revoke_token, name="token-revoke"),
    path("keys/", views.keys, name="keys"),
    path("keys/<str:key_id>/delete/", views.delete_key, name="key-delete"),
]
