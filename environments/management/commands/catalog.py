"""`manage.py catalog diff|apply|export [PLACE]`: the catalog as reviewed code."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from environments import catalog, catalog_published
from environments.catalog_files import Catalog, CatalogError, read, read_text
from portal.lib.errors import Conflict

STREAM = "-"
ACTOR = "manage.py catalog"
EDITED = """\
The catalog was edited in the pages since the files were applied, so the files were left alone.
To keep the pages' catalog, `manage.py catalog export catalog` writes it into the files;
to have the files' again, run `manage.py catalog apply`."""


class Command(BaseCommand):
    help = "Show what the catalog's files would change, publish them, or write what is published."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("what", choices=["diff", "apply", "export"])
        place = "a folder, or - for standard input or output; diff and apply: catalog/ if not given, export: -"
        parser.add_argument("place", nargs="?", help=place)
        skip = "apply nothing where somebody published something else since the files were applied"
        parser.add_argument("--unless-edited", action="store_true", help=skip)
        parser.add_argument("--yes", action="store_true", help="apply without asking")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["what"] == "export":
                self._export(options["place"] or STREAM)
            else:
                self._publish(options["place"] or str(settings.BASE_DIR / "catalog"), options)
        except CatalogError as error:
            raise CommandError("\n".join(error.problems)) from error
        except Conflict as error:
            raise CommandError(error.detail) from error

    def _export(self, place: str) -> None:
        if place == STREAM:
            self.stdout.write(catalog_published.as_text(catalog_published.published()), ending="")
            return
        files = list(catalog_published.write(catalog_published.published(), Path(place)))
        self.stdout.write(f"Wrote {len(files)} files to {place}.")

    def _publish(self, place: str, options: dict[str, Any]) -> None:
        wanted = _read(place)
        found = catalog.difference(wanted)
        changes = found.changes
        self.stdout.write("\n".join(map(str, changes)) or "Nothing to change.")
        for note in catalog.notes(wanted):
            self.stdout.write(f"Note: {note}.")
        if options["unless_edited"] and changes and not catalog.last_published_by(ACTOR):
            self.stdout.write(EDITED)
        elif options["what"] == "apply" and changes and (options["yes"] or _agreed(place)):
            done = catalog.apply(wanted, actor=ACTOR, agreed=found.digest)
            self.stdout.write(f"Published {len(done)} changes." if done else "Somebody else published it just now.")


def _read(place: str) -> Catalog:
    if place == STREAM:
        return read_text(sys.stdin.read(), "stdin")
    folder = Path(place)
    if not folder.is_dir():
        raise CommandError(f"There is no folder {place}.")
    return read(folder)


def _agreed(place: str) -> bool:
    if place == STREAM:
        raise CommandError("Nobody can be asked while the catalog comes from standard input: add --yes.")
    return input("Publish this? [y/N] ").strip().lower() == "y"
