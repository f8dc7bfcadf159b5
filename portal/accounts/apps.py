"""Registers portal.accounts and its checks with Django."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "portal.accounts"
    label = "accounts"

    def ready(self) -> None:
        from portal.accounts import checks  # noqa: F401 - importing registers the checks
