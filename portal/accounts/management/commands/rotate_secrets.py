"""`manage.py rotate_secrets [--delete-unreadable]`: seals every stored secret with the first key."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from portal.accounts import vault

ACTOR = "command line"
STEP = 100


class Command(BaseCommand):
    help = "Seal every stored secret with the first of BERTH_SECRETS_KEYS. What was interrupted goes on where it was."
    requires_system_checks: list[str] = []  # they object to a lost key, which this command is the way out of

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--delete-unreadable", action="store_true", help="delete what no configured key opens")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["delete_unreadable"]:
            deleted = vault.delete_unreadable(actor=ACTOR)
            self.stdout.write(f"Deleted {len(deleted)}: {', '.join(deleted) or 'none was unreadable'}.")
        first, total, unreadable = settings.SECRETS_KEYS[0].id, vault.waiting(), []
        for number, secret in enumerate(vault.rotate(actor=ACTOR), 1):
            if secret.key_id != first:
                unreadable.append(f"{secret} (key {secret.key_id})")
            if number % STEP == 0:
                self.stdout.write(f"{number} of {total}")
        self.stdout.write(f"Sealed {total - len(unreadable)} of {total} with the key {first}.")
        if unreadable:
            raise CommandError(f"Could not be opened, and stay as they are: {', '.join(unreadable)}.")
        self.stdout.write("No other key is needed any more.")
