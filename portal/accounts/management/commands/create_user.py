"""`manage.py create_user NAME [--staff] [--team SLUG [--lead]]`: a person and, where missing, the team."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import IntegrityError, transaction

from portal.accounts.actions import add_member, create_team, create_user
from portal.accounts.models import Role, Team
from portal.accounts.people import new_password


class Command(BaseCommand):
    help = "Create a person who signs in with a password; a first password is made and printed once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--full-name", default="")
        parser.add_argument("--email", default="", help="where warnings go; none are mailed without it")
        parser.add_argument("--staff", action="store_true", help="may see and manage everything")
        parser.add_argument("--team", help="slug of the team to join; made when there is none")
        parser.add_argument("--lead", action="store_true", help="join the team as its lead")

    def handle(self, *args: Any, **options: Any) -> None:
        password = new_password()
        try:
            self._create(password, options)
        except IntegrityError as error:
            raise CommandError(f"There is a user “{options['username']}” already.") from error
        self.stdout.write(f"{options['username']} can sign in with the password {password}")

    @staticmethod
    @transaction.atomic
    def _create(password: str, options: dict[str, Any]) -> None:
        actor = "manage.py create_user"
        user = create_user(
            options["username"],
            options["full_name"],
            password,
            staff=options["staff"],
            email=options["email"],
            actor=actor,
        )
        if slug := options["team"]:
            team = Team.objects.filter(slug=slug).first() or create_team(slug, slug.capitalize(), actor=actor)
            add_member(team, user, Role.LEAD if options["lead"] else Role.MEMBER, actor=actor)
