"""Registers portal.notices with Django, and the secrets of webhooks with the vault."""

from django.apps import AppConfig


class NoticesConfig(AppConfig):
    name = "portal.notices"
    label = "notices"

    def ready(self) -> None:
        from portal.accounts import vault
        from portal.notices.models import Webhook

        vault.also(Webhook)
