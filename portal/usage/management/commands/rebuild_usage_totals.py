"""`manage.py rebuild_usage_totals`: totals of usage are forgotten and added up from the ledger again."""

from typing import Any

from django.core.management.base import BaseCommand

from portal.usage import totals
from portal.usage.models import Unsummed

BATCH = 50_000


class Command(BaseCommand):
    help = "Make all totals of usage anew from the intervals. Pages stay right meanwhile, and may be slow."

    def handle(self, *args: Any, **options: Any) -> None:
        totals.forget()
        whole, done = Unsummed.objects.count(), 0
        while Unsummed.objects.exists():
            done += totals.add_up(BATCH)  # of what a worker adds up meanwhile nothing is left to do
            self.stdout.write(f"{done:,} of {whole:,} intervals")
