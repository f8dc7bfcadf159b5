"""Tables, static files, demo sign-ins and catalog, all in one process, because each start of Django costs a second."""

import os

import django
from django.conf import settings
from django.core.management import call_command

from portal.lib.starting import refuse_if_misconfigured

COMMANDS = (
    ("migrate", "--verbosity", "0"),
    ("collectstatic", "--noinput", "--verbosity", "0"),
    ("catalog", "apply", "--yes", "--unless-edited"),
    ("seed_demo",),
)


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    django.setup()
    refuse_if_misconfigured()
    for command in COMMANDS:
        call_command(*command)
    if settings.DEMO_HISTORY:
        call_command("seed_history")


if __name__ == "__main__":
    main()
