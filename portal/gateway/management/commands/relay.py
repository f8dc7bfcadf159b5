"""`manage.py relay`: the process that carries WebSockets."""

import asyncio
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from portal.gateway import relay


class Command(BaseCommand):
    help = "Carry WebSockets between nginx and workspaces, and cut those whose right has ended."

    def handle(self, *args: Any, **options: Any) -> None:
        asyncio.run(relay.run(settings.RELAY_ADDRESS))
