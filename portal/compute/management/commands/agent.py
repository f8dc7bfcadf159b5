"""`manage.py agent`: the process beside an engine."""

import asyncio
from typing import Any

from django.core.management.base import BaseCommand

from portal.compute.agent.main import main


class Command(BaseCommand):
    help = "Watch the engine: events, sweep, readiness, logs, samples, fallback tick."

    def handle(self, *args: Any, **options: Any) -> None:
        asyncio.run(main())
