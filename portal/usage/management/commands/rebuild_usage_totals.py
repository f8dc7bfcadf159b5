"""`manage.py rebuild_usage_totals`: totals of usage are added up from the ledger again."""

from typing import Any

from django.core.management.base import BaseCommand

from portal.usage import totals


class Command(BaseCommand):
    help = "Make all totals of usage anew from the intervals. Pages show the old ones until it is done."

    def handle(self, *args: Any, **options: Any) -> None:
        names = [kind.name for kind in totals.KINDS]

        def told(name: str) -> None:
            self.stdout.write(f"{name} ({names.index(name) + 1} of {len(names)})")

        totals.rebuild(told)
