"""`manage.py check_invariants [--engine]`: what must hold, checked against the record and the engine."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from portal.compute.engine import runtime
from portal.invariants import violations


class Command(BaseCommand):
    help = "Check the invariants; exits with 1 and a line for each that is broken."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--engine", action="store_true", help="also compare with the container engine")

    def handle(self, *args: Any, **options: Any) -> None:
        found = violations(runtime() if options["engine"] else None)
        if found:
            raise CommandError("\n".join(found))
        self.stdout.write("All invariants hold.")
