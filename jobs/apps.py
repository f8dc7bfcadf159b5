"""Registers jobs with Django, as an owner of allocations, and on the tick."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "jobs"

    def ready(self) -> None:
        from environments.files import access as files
        from environments.files import beside
        from environments.files import charging as file_charging
        from jobs import actions, charging, collecting, holding, idle_gpus, model_files, places, scheduling, sweeps
        from jobs.owner import JobOwner
        from portal.compute import owners, ticking

        owners.register("job", JobOwner())
        for due in (scheduling.run_due, sweeps.cancel_due, sweeps.end_due, holding.release_due):
            ticking.also(due)
        ticking.also(actions.begin_due)
        ticking.also(actions.settle_due)
        ticking.also(actions.end_overdue)
        ticking.also(idle_gpus.settle_due)
        ticking.also(actions.forget_files)
        files.also(places.place_for)
        file_charging.also(charging.charged)
        beside.also(collecting.copy_one, pause=1)
        beside.also(collecting.collect_one, pause=1)
        beside.also(model_files.fill_one, pause=1)
