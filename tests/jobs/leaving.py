"""Jobs that ended and left files, on real folders, as the process `files` finds them."""

from pathlib import Path
from typing import Any

from environments.models import Volume
from jobs import collecting
from jobs.models import Job
from portal.lib import clock
from tests.jobs.test_life import ends


def folder_of(volume: Volume, volumes: Path) -> Path:
    """On this machine, as the engine would have made it."""
    Volume.objects.filter(pk=volume.pk).update(made_at=clock.now())
    made = volumes / volume.engine_name
    made.mkdir(exist_ok=True)
    return made


class Leaving:
    """Makes jobs that succeed and leave what they are told to."""

    def __init__(self, submit: Any, tick: Any, engine: Any, volumes: Path) -> None:
        self.submit, self.tick, self.volumes = submit, tick, volumes
        ends(engine, "true", exit_code=0)

    def __call__(self, files: dict[str, str], **values: Any) -> Job:
        job: Job = self.submit(**({"command": ["true"]} | values))
        own = folder_of(job.volume, self.volumes)
        for path, text in files.items():
            (own / path).parent.mkdir(parents=True, exist_ok=True)
            (own / path).write_text(text)
        self.tick()
        while collecting.collect_one():
            pass
        job.refresh_from_db()
        return job
