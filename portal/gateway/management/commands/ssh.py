"""`manage.py ssh`: the process of the SSH door."""

import asyncio
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from portal.gateway.ssh import door


class Command(BaseCommand):
    help = "Let people's own tools into their running workspaces, over SSH."

    def handle(self, *args: Any, **options: Any) -> None:
        asyncio.run(door.serve(settings.SSH_PORT))
