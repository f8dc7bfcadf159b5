"""`manage.py catalog diff|apply [--yes] [--folder DIR]`: the catalog as reviewed code."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from environments import catalog
from environments.catalog_files import CatalogError, read


class Command(BaseCommand):
    help = "Show what the catalog's files would change, or publish them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("what", choices=["diff", "apply"])
        parser.add_argument("--folder", type=Path, default=settings.BASE_DIR / "catalog")
        parser.add_argument("--yes", action="store_true", help="apply without asking")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            wanted = read(options["folder"])
            changes = catalog.diff(wanted)
            self.stdout.write("\n".join(map(str, changes)) or "Nothing to change.")
            if options["what"] == "apply" and changes and (options["yes"] or self._agreed()):
                catalog.apply(wanted, actor="manage.py catalog")
                self.stdout.write(f"Published {len(changes)} changes.")
        except CatalogError as error:
            raise CommandError("\n".join(error.problems)) from error

    @staticmethod
    def _agreed() -> bool:
        return input("Publish this? [y/N] ").strip().lower() == "y"
