"""`manage.py` that stays: one process of a Berth that does command after command, so that each need not begin anew.

As a program it reads a command's words from each line, as JSON, and answers with whether it was done and what it said.
"""

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from subprocess import PIPE

from deploy.python_environment import ROOT


class Manager:
    """`enter` begins a command that runs where the Berth runs."""

    def __init__(self, enter: Sequence[str], environment: dict[str, str]) -> None:
        self._command = [*enter, "setpriv", "--pdeathsig", "TERM", sys.executable, "-m", "tests.manager"]
        self._environment = environment
        self._process: subprocess.Popen[str] | None = None

    def run(self, *arguments: str) -> str:
        """What `manage.py …` prints; CalledProcessError with its words when it fails."""
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(arguments) + "\n")
        process.stdin.flush()
        done, said = json.loads(process.stdout.readline())
        if not done:
            raise subprocess.CalledProcessError(1, arguments, said, "")
        return str(said)

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, env=self._environment, stdin=PIPE, stdout=PIPE, text=True
            )
        return self._process

    def end(self) -> None:
        if self._process is not None:
            self._process.communicate()
            self._process = None


def main() -> None:
    import django
    from django.core.management import call_command
    from django.db import connections

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    django.setup()
    for line in sys.stdin:
        said = StringIO()
        with redirect_stdout(said), redirect_stderr(said):
            try:
                call_command(*json.loads(line))
                done = True
            except Exception:
                traceback.print_exc()
                done = False
        connections.close_all()
        print(json.dumps([done, said.getvalue()]), flush=True)


if __name__ == "__main__":
    main()
