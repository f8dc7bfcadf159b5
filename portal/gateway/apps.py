"""Registers portal.gateway with Django, its checks, and its sweep on the tick."""

from django.apps import AppConfig


class GatewayConfig(AppConfig):
    name = "portal.gateway"
    label = "gateway"

    def ready(self) -> None:
        from portal.compute import ticking
        from portal.gateway import actions, checks  # noqa: F401 - importing registers the checks

        ticking.also(actions.sweep)
