"""Tables, static files, demo sign-ins and catalog, all in one process, because each start of Django costs a second."""

import os

import django
from django.core.management import call_command

COMMANDS = (
    ("migrate", "--verbosity", "0"),
    ("collectstatic", "--noinput", "--verbosity", "0"),
    ("catalog", "apply", "--yes"),
    ("seed_demo",),
)


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    django.setup()
    for command in COMMANDS:
        call_command(*command)


if __name__ == "__main__":
    main()
