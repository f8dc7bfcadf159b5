"""Registers portal.usage with Django, and metering, totals, budgets and statements with compute."""

from django.apps import AppConfig


class UsageConfig(AppConfig):
    name = "portal.usage"
    label = "usage"

    def ready(self) -> None:
        from portal.compute import owners, ticking
        from portal.usage import budgets, metering, statements, storage, totals, weekly

        owners.observe(metering.observe)
        owners.measure(metering.measured)
        ticking.also(metering.divide)
        ticking.also(storage.divide)
        ticking.also(totals.tick)
        ticking.also(budgets.tick)
        ticking.also(statements.ring_due)
        ticking.also(weekly.tick)
