"""`manage.py create_token USER [--scope S]… [--days N]`: prints a new API token as the last word of its last line."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from portal.accounts.actions import create_token
from portal.accounts.models import User
from portal.accounts.states import SCOPES
from portal.lib.errors import Invalid


class Command(BaseCommand):
    help = "Create a personal API token for a user; it is shown once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user")
        parser.add_argument("--scope", action="append", choices=SCOPES, help="default: all the user may have")
        parser.add_argument("--days", type=int, default=30)
        parser.add_argument("--name", default="command line")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(f"There is no user “{options['user']}”.")
        scopes = options["scope"] or [s for s in SCOPES if user.is_staff or not s.startswith("admin")]
        try:
            new = create_token(user, options["name"], scopes, options["days"], actor="command line")
        except Invalid as problem:
            raise CommandError(f"{problem.detail} {problem.fields}") from problem
        self.stdout.write(f"Token for {user.username}, good for {options['days']} days: {new.secret}")
