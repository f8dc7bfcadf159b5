"""Processes that manage.py does not start refuse a start without the keys of stored secrets, too."""

import subprocess
import sys

import pytest

from deploy.python_environment import ROOT

CHECK = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"
import django
django.setup()
from django.core.checks import Error, register
register(lambda **_: [Error("a key is missing", hint="put it back", id="test.E001")])
"""
STARTS = {
    "web": "import portal.wsgi",
    "worker": "from celery.signals import worker_init; import portal.celery; worker_init.send(sender=None)",
    "preparation": "from deploy import prepare; prepare.main()",
}


@pytest.mark.parametrize("process", STARTS)
def test_what_the_checks_object_to_keeps_a_process_from_starting(process: str) -> None:
    code = f"{CHECK}\n{STARTS[process]}\nprint('it runs')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "it runs" not in done.stdout
    assert "a key is missing" in done.stderr
    assert "put it back" in done.stderr
