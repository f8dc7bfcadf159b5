"""`manage.py seed_demo`: the demo teams and accounts, with passwords made once and kept beside the data."""

import json
import secrets
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import transaction

from portal.accounts.actions import add_member, create_team, create_user
from portal.accounts.models import Role, Team, User

ACCOUNTS = {
    "scientist": ("Vera Rosén", "vision", Role.MEMBER),
    "lead": ("Luis Okafor", "vision", Role.LEAD),
    "outsider": ("Oda Berg", "risk", Role.MEMBER),
    "admin": ("Ada Admin", None, None),
}
TEAMS = {"vision": "Vision", "risk": "Risk"}


class Command(BaseCommand):
    help = "Create the demo teams and accounts where they are missing."

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        path = settings.BERTH_DATA / "demo-accounts.json"
        passwords: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        teams = {slug: self._team(slug, name) for slug, name in TEAMS.items()}
        for username, (name, team, role) in ACCOUNTS.items():
            if User.objects.filter(username=username).exists():
                continue
            passwords[username] = "-".join(secrets.token_hex(2) for _ in range(4))
            user = create_user(username, name, passwords[username], staff=username == "admin", actor="seed_demo")
            if team and role:
                add_member(teams[team], user, role, actor="seed_demo")
        path.touch(mode=0o600)
        path.write_text(json.dumps(passwords, indent=1))

    @staticmethod
    def _team(slug: str, name: str) -> Team:
        return Team.objects.filter(slug=slug).first() or create_team(slug, name, actor="seed_demo")
