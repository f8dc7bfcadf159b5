"""Registers environments with Django, as an owner of allocations, and on the tick."""

from django.apps import AppConfig


class EnvironmentsConfig(AppConfig):
    name = "environments"

    def ready(self) -> None:
        from environments import images, volumes
        from environments.owner import WorkspaceOwner
        from portal.compute import owners, ticking

        owners.register("workspace", WorkspaceOwner())
        ticking.also(images.ring_due)
        ticking.also(volumes.ring_due)
