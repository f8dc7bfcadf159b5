"""Registers portal.compute with Django, and on the tick what is due here and in the layers below."""

from django.apps import AppConfig


class ComputeConfig(AppConfig):
    name = "portal.compute"
    label = "compute"

    def ready(self) -> None:
        from portal.compute import forecast, log_keeping, node_actions, overrun, preempting, ticking
        from portal.notices import actions, delivering
        from portal.quotas import actions as quotas

        ticking.also(forecast.tick)
        ticking.also(log_keeping.remove_due)
        ticking.also(node_actions.end_due)
        ticking.also(overrun.tick)
        ticking.also(preempting.tick)
        ticking.also(delivering.ring_due)
        ticking.also(actions.forget_old)
        ticking.also(quotas.tick)
