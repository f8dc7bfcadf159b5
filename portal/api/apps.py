"""Registers portal.api with Django: its part of the tick, and how callers authenticate in the schema."""

from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "portal.api"
    label = "api"

    def ready(self) -> None:
        from portal.api import schema  # noqa: F401
        from portal.api.idempotency import forget_old_keys
        from portal.compute import ticking

        ticking.also(forget_old_keys)
