"""Registers portal.usage with Django, and metering with compute."""

from django.apps import AppConfig


class UsageConfig(AppConfig):
    name = "portal.usage"
    label = "usage"

    def ready(self) -> None:
        from portal.compute import owners
        from portal.usage import metering

        owners.observe(metering.observe)
