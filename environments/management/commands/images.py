"""`manage.py images clean [--yes]`: takes images off the engine that nothing needs any more."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from environments import image_cleaning
from environments.models import ImageCopy
from portal.lib.words import size


class Command(BaseCommand):
    help = "List the images that nothing needs any more, and remove them after asking."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("what", choices=["clean"])
        parser.add_argument("--yes", action="store_true", help="remove without asking")

    def handle(self, *args: Any, **options: Any) -> None:
        found = image_cleaning.unused()
        for copy in found:
            self.stdout.write(f"- {copy.reference}, {size(copy.size)}, of image {copy.image_id}")
        if not found:
            self.stdout.write("Nothing to remove.")
        elif options["yes"] or input("Remove these? [y/N] ").strip().lower() == "y":
            self._remove()

    def _remove(self) -> None:
        wanted = image_cleaning.request(actor="manage.py images")
        image_cleaning.clean()
        left = ImageCopy.objects.filter(pk__in=[copy.pk for copy in wanted])
        for copy in left:
            self.stdout.write(f"Kept {copy.reference}: {copy.kept_because or 'the container engine does not answer'}")
        self.stdout.write(f"Removed {len(wanted) - len(left)} of {len(wanted)}.")
