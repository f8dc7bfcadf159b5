"""The doorbell: a broker that is away costs latency, never an error."""

import subprocess
import sys

RING = """
import django
django.setup()
from portal.celery import ring
from portal.compute import tasks
ring(tasks.admit)
print("went on")
"""


def test_no_broker_is_no_error() -> None:
    """In a process of its own: Celery keeps the first broker it connects to."""
    environment = {"DJANGO_SETTINGS_MODULE": "portal.settings", "REDIS_URL": "redis://127.0.0.1:1/0"}
    environment |= {"DATABASE_URL": "postgres://127.0.0.1:1/none", "BERTH_SECRET_KEY": "x" * 50}
    rung = subprocess.run(
        [sys.executable, "-c", RING], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert rung.stdout == "went on\n"
    assert "waits for the next tick" in rung.stderr
