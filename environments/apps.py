"""Registers environments with Django, as an owner of allocations, and on the tick."""

from django.apps import AppConfig


class EnvironmentsConfig(AppConfig):
    name = "environments"

    def ready(self) -> None:
        from environments import idling, image_cleaning, images, mails, scheduling, volumes
        from environments.files import beside, charging, measuring
        from environments.owner import WorkspaceOwner
        from portal.compute import limits, owners, ticking
        from portal.quotas.states import Resource
        from portal.usage import storage

        owners.register("workspace", WorkspaceOwner())
        owners.name(storage.KIND, charging.Files())
        limits.count(Resource.STORAGE, measuring.held)
        beside.also(measuring.measure_one, pause=10)
        ticking.also(images.ring_due)
        ticking.also(volumes.ring_due)
        ticking.also(image_cleaning.ring_due)
        ticking.also(idling.settle_due)
        ticking.also(scheduling.run_due)
        ticking.also(mails.ring_due)
