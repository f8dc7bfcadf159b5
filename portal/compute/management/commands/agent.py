"""`manage.py agent`: the process beside an engine."""

import asyncio
import logging
import os
from typing import Any

from django.core.management.base import BaseCommand

from portal.compute.agent.main import main


class Command(BaseCommand):
    help = "Watch the engine: events, sweep, readiness, logs, samples, fallback tick."

    def handle(self, *args: Any, **options: Any) -> None:
        asyncio.run(main())
        logging.shutdown()
        os._exit(0)  # threads that wait for the engine have nothing to save, and would delay the end
