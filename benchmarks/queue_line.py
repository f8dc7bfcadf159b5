"""`python -m benchmarks.queue_line sql|berth WAITING PLACED`: makes a line, serves it that way, prints what it took."""

import json
import os
import sys
import time
from typing import Any

import django
from django.core.management import call_command
from django.db import connection, transaction

from benchmarks.fairness import Quiet

TEAMS = 20
"""Of ten people each."""
NEXT = """UPDATE compute_allocation SET phase = 'admitted', node_id = %s WHERE id = (
    SELECT id FROM compute_allocation WHERE phase = 'pending' AND desired = 'run'
    ORDER BY line_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)"""


def main(way: str, waiting: int, placed: int) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"
    django.setup()
    call_command("migrate", verbosity=0)
    node = _line(waiting, placed)
    began = time.perf_counter()
    done = _by_sql(node, placed) if way == "sql" else _by_admission(placed)
    print(json.dumps({"placed": done, "seconds": time.perf_counter() - began}))


def _line(waiting: int, placed: int) -> str:
    """So many wait, and there is room for some of them; what earlier rounds left is gone."""
    from portal.accounts.models import Team, User
    from portal.compute.models import GIB, Allocation, Node, Size, Transition

    Transition.objects.all().delete()
    Allocation.objects.all().delete()
    room: dict[str, Any] = {"cpu": placed, "schedulable_cpu": placed, "memory": placed * GIB}
    room["schedulable_memory"] = placed * GIB
    node, _ = Node.objects.update_or_create(name="benchmark", defaults={"runtime": "fake"} | room)
    users = [User.objects.get_or_create(username=f"benchmark-{n}", subject=str(n))[0] for n in range(TEAMS * 10)]
    teams = [Team.objects.get_or_create(slug=f"benchmark-{n}", defaults={"name": str(n)})[0] for n in range(TEAMS)]
    size, _ = Size.objects.get_or_create(slug="one", defaults={"cpu": 1, "memory_gib": 1})
    shape: dict[str, Any] = {"owner_kind": "benchmark", "size": size, "cpu": 1, "memory": GIB, "spec": {}}
    Allocation.objects.bulk_create(
        Allocation(owner_id=str(n), user=users[n % len(users)], team=teams[n % TEAMS], **shape) for n in range(waiting)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE compute_allocation")
    return node.pk


def _by_sql(node: str, placed: int) -> int:
    for _ in range(placed):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(NEXT, [node])
    return placed


def _by_admission(placed: int) -> int:
    """Round after round, as ticks and doorbells do it, with its transitions, its history and who is told."""
    from portal.compute import admission, owners

    owners.register("benchmark", Quiet())  # type: ignore[arg-type]
    done = 0
    while done < placed and (admitted := admission.admit()):
        done += len(admitted)
    return done


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
