"""`manage.py gateway`: writes nginx's configuration and becomes nginx."""

import os
import shutil
import subprocess
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from portal.gateway import nginx

SLOWER = (
    "nginx's Lua module is missing or does not work: every request opens a connection to its workspace. "
    "Installing libnginx-mod-http-lua makes the gateway faster."
)


class Command(BaseCommand):
    help = "Run nginx in the foreground, in front of the portal and of every workspace."

    def handle(self, *args: Any, **options: Any) -> None:
        program = nginx.program()
        if program is None:
            raise CommandError("nginx is not installed: run `apt-get install nginx`, then start again.")
        account = nginx.workers_account()
        folder = nginx.folder(settings.BERTH_DATA, account)
        shutil.rmtree(folder / "answers", ignore_errors=True)
        command = [program, "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]
        modules = nginx.lua_modules(program)
        (folder / "nginx.conf").write_text(nginx.render(folder, account, modules))
        tested = subprocess.run([*command, "-t", "-q"], capture_output=True, text=True, check=False)
        if tested.returncode:
            raise CommandError(f"nginx refuses its configuration: {tested.stderr.strip()}")
        if modules is None:
            self.stderr.write(SLOWER)
        os.execv(program, command)  # noqa: S606 - a shell has no part in it
