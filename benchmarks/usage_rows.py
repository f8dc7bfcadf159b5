"""`python -m benchmarks.usage_rows COUNT`: that many intervals of three years, added up; prints figures.

For `usage` only: 200 teams, 5,000 people of whom some work much more than others, 40 nodes, 12 environments, 3 GPU
classes, in each team 4 projects, which three quarters of the runs name. Somebody runs something for two hours on
average, three of ten on a GPU; before, it waits up to a minute for its place. Besides, everybody has a home, each team
a folder, and half of the people a job whose files are kept: their sizes change each month."""

import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import django
from django.db import connection, transaction

RUNS = 2.3
"""Intervals of a run: cores, memory, and of three in ten a GPU."""
DAYS = 1095
CLOSED = 200
PEOPLE = (
    """INSERT INTO accounts_team SELECT (jsonb_populate_record(model, jsonb_build_object(
        'id', lpad(n::text, 26, '0'), 'slug', 'team-' || n, 'name', 'Team ' || n))).*
    FROM accounts_team AS model, generate_series(1, 198) AS n WHERE model.slug = 'vision'""",
    """INSERT INTO accounts_user SELECT (jsonb_populate_record(model, jsonb_build_object(
        'id', 1000 + n, 'username', 'person-' || n, 'subject', 'person-' || n, 'name', 'Person ' || n))).*
    FROM accounts_user AS model, generate_series(1, 4999) AS n WHERE model.username = 'scientist'""",
)
LOAD = """
INSERT INTO usage_usageinterval (id, allocation_id, owner_kind, owner_id, meter, quantity, started_at, ended_at,
    price_per_hour, currency, team, "user", project, template, gpu_class, node, measured, used)
SELECT lpad((run * 4 + number)::text, 26, '0'), lpad(run::text, 26, '0'),
    CASE WHEN job THEN 'job' ELSE 'workspace' END,
    CASE WHEN job THEN lpad(run::text, 26, 'J') ELSE lpad((person * 3 + run %% 3)::text, 26, 'W') END,
    (ARRAY['cpu', 'memory', 'gpu'])[number], (ARRAY[4, 16, 1])[number], began, began + make_interval(secs => lasted),
    (ARRAY[0.0212, 0.0027, 1.9])[number], 'EUR',
    CASE person %% 200 WHEN 0 THEN 'vision' WHEN 199 THEN 'risk' ELSE 'team-' || person %% 200 END,
    CASE person WHEN 0 THEN 'scientist' ELSE 'person-' || person END,
    CASE run %% 4 WHEN 0 THEN '' ELSE 'project-' || person %% 3 + run %% 2 END,
    'template-' || (person + run %% 3) %% 12,
    CASE WHEN gpu THEN 'class-' || person %% 3 ELSE '' END, 'node-' || run %% 40,
    (ARRAY[4, 0, 1])[number] * lasted, (ARRAY[4, 0, 1])[number] * lasted * random()
FROM (
    SELECT run, floor(5000 * power(random(), 1.5))::int AS person, random() < 0.6 AS job, random() < 0.3 AS gpu,
        %(until)s - make_interval(days => %(days)s) * (1 - run::float8 / %(runs)s) AS exact,
        1 + floor(-ln(1 - random()) * 7200)::int AS lasted
    FROM generate_series(1, %(runs)s) AS run
) AS made
CROSS JOIN LATERAL (SELECT date_trunc('second', exact) AS began) AS whole
CROSS JOIN LATERAL generate_series(1, CASE WHEN gpu THEN 3 ELSE 2 END) AS number
"""
KEPT = """
INSERT INTO usage_usageinterval (id, allocation_id, owner_kind, owner_id, meter, quantity, started_at, ended_at,
    price_per_hour, currency, team, "user", project, template, gpu_class, node, measured, used)
SELECT lpad(number || 'K' || month, 26, '0'), lpad(number::text, 26, 'V'), 'files', lpad(number::text, 26, 'V'),
    'storage', 1 + number %% 50, began, nullif(began + interval '30 days', %(until)s), 0.0001, 'EUR',
    CASE number %% 200 WHEN 0 THEN 'vision' WHEN 199 THEN 'risk' ELSE 'team-' || number %% 200 END,
    CASE WHEN number >= 7500 THEN '' WHEN number %% 5000 = 0 THEN 'scientist' ELSE 'person-' || number %% 5000 END,
    '', '', '', '', 0, 0
FROM generate_series(0, 7699) AS number
CROSS JOIN generate_series(0, 35) AS month
CROSS JOIN LATERAL (SELECT %(until)s - interval '30 days' * (36 - month) AS began) AS whole
"""
ALLOCATIONS = """
INSERT INTO compute_allocation SELECT made.*
FROM usage_usageinterval AS held JOIN accounts_user AS person ON username = held."user"
JOIN accounts_team AS team ON slug = held.team JOIN compute_allocation AS model ON model.owner_id = %(job)s
CROSS JOIN LATERAL jsonb_populate_record(model, jsonb_build_object(
    'id', allocation_id, 'owner_kind', held.owner_kind, 'owner_id', held.owner_id, 'user_id', person.id,
    'team_id', team.id, 'project', held.project, 'created_at', held.started_at - interval '1 minute' * random(),
    'started_at', held.started_at, 'ended_at', held.ended_at)) AS made
WHERE meter = 'cpu' AND held.node <> ''
"""
"""What the intervals are of; copies of the one that a job has."""
PLACED = """
INSERT INTO compute_transition (allocation_id, at, from_phase, to_phase, generation, reason, message, actor)
SELECT id, started_at, 'pending', 'admitted', 1, '', '', 'benchmark' FROM compute_allocation
"""
"""Of all that has happened to them, what the pages ask for."""
GUARD = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'usage_no_overlap'"
INDEXES = """
SELECT indexname, indexdef FROM pg_indexes
WHERE tablename = 'usage_usageinterval' AND indexname NOT IN (SELECT conname FROM pg_constraint)
"""
MARKED = """
INSERT INTO usage_unsummed SELECT id FROM usage_usageinterval WHERE ended_at IS NOT NULL LIMIT 10000
ON CONFLICT DO NOTHING
"""


def main(count: int) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    django.setup()
    from benchmarks.job_list_rows import a_job_that_is_over
    from portal.accounts.models import User
    from portal.lib import clock

    with connection.cursor() as cursor:
        for statement in PEOPLE:
            cursor.execute(statement)
        few = _closing("few")
        until = clock.now().replace(microsecond=0) - timedelta(days=1)
        with _written_at_once(cursor):
            cursor.execute(LOAD, {"runs": round(count / RUNS), "until": until, "days": DAYS})
            cursor.execute(KEPT, {"until": until})
        cursor.execute("ANALYZE")
        cursor.execute(ALLOCATIONS, {"job": a_job_that_is_over(User.objects.get(username="scientist")).pk})
        cursor.execute(PLACED)
        cursor.execute("ANALYZE")
        many = _closing("many")
        seconds, anew = _add_up()
        cursor.execute("VACUUM ANALYZE usage_usagetotal, usage_unsummed")
        sizes = {name: _size(cursor, table) for name, table in (("ledger", "interval"), ("totals", "total"))}
    facts = {f"{name} on disk": size for name, size in sizes.items()}
    facts["adding up a day"] = f"{seconds / 3 * count / DAYS:.1f} s"
    facts["closing one, against an empty ledger"] = f"{many / few:.2f} ×"
    facts["adding one up, against closing it"] = f"{seconds / many:.2f} ×"
    facts["making all anew, against adding each up"] = f"{anew / seconds:.2f} ×"
    print(json.dumps(facts))


@contextmanager
def _written_at_once(cursor: Any) -> Iterator[None]:
    """Indexes and the guard against overlaps are made when all is there; so are the few marks that are then read."""
    cursor.execute(GUARD)
    [guard] = cursor.fetchone()
    cursor.execute(INDEXES)
    indexes = dict(cursor.fetchall())
    cursor.execute("ALTER TABLE usage_usageinterval DROP CONSTRAINT usage_no_overlap")
    cursor.execute("ALTER TABLE usage_usageinterval DISABLE TRIGGER usage_mark_closed")
    cursor.execute(f"DROP INDEX {', '.join(indexes)}")
    yield
    cursor.execute("SET maintenance_work_mem = '1GB'")
    for definition in indexes.values():
        cursor.execute(definition)
    cursor.execute(f"ALTER TABLE usage_usageinterval ADD CONSTRAINT usage_no_overlap {guard}")
    cursor.execute("ALTER TABLE usage_usageinterval ENABLE TRIGGER usage_mark_closed")
    cursor.execute("RESET maintenance_work_mem")
    cursor.execute(MARKED)


def _closing(name: str) -> float:
    """Seconds for what three intervals take to close, in the median."""
    from portal.compute.models import Allocation
    from portal.lib import clock
    from portal.usage import metering
    from portal.usage.models import UsageInterval

    began = clock.now().replace(microsecond=0) - timedelta(hours=2)
    alike: dict[str, Any] = {
        "owner_kind": "job",
        "owner_id": name,
        "currency": "EUR",
        "team": "vision",
        "user": "scientist",
    }
    took = []
    for n in range(CLOSED):
        allocation = Allocation(pk=f"{name}-{n}")
        UsageInterval.objects.bulk_create(
            UsageInterval(
                allocation_id=allocation.pk, meter=meter, quantity=1, price_per_hour=1, started_at=began, **alike
            )
            for meter in ("cpu", "memory", "gpu")
        )
        start = time.perf_counter()
        with transaction.atomic():
            metering.close(allocation.pk, clock.now())
        took.append(time.perf_counter() - start)
    return statistics.median(took)


def _add_up() -> tuple[float, float]:
    """Some in the batches of a tick, then all anew; how long each for as many as close together, which are three."""
    from portal.usage import totals
    from portal.usage.models import UsageInterval

    start, done = time.perf_counter(), 0
    for _ in range(10):
        done += totals.add_up()
    took, start = time.perf_counter() - start, time.perf_counter()
    totals.rebuild()
    return took * 3 / done, (time.perf_counter() - start) * 3 / UsageInterval.objects.count()


def _size(cursor: Any, table: str) -> str:
    cursor.execute("SELECT pg_total_relation_size(%s)", [f"usage_usage{table}"])
    return f"{cursor.fetchone()[0] / 1024**3:.1f} GiB"


if __name__ == "__main__":
    main(int(sys.argv[1]))
