"""`python -m benchmarks.job_list_rows COUNT`: makes that many jobs that are over.

For `job-list` only: one job is submitted, the others are copies of its rows."""

import os
import sys
from datetime import timedelta
from typing import Any

import django
from django.db import connection

COPIES = (
    """INSERT INTO jobs_job SELECT (jsonb_populate_record(model, jsonb_build_object(
        'id', lpad(n::text, 26, '0'),
        'name', 'net-' || n %% 97 || ' ' || n,
        'owner_id', CASE WHEN n %% 5 = 0 THEN %(other)s ELSE %(own)s END,
        'state', (ARRAY['failed', 'cancelled', 'timed_out', 'lost', 'failed'])[1 + n %% 25])
        || CASE WHEN n %% 25 > 4 THEN '{"state": "succeeded"}' ELSE '{}'::jsonb END)).*
    FROM jobs_job AS model, generate_series(1, %(count)s) AS n WHERE model.id = %(job)s""",
    """INSERT INTO compute_allocation SELECT (jsonb_populate_record(model, jsonb_build_object(
        'id', lpad(n::text, 26, '0'), 'owner_id', lpad(n::text, 26, '0')))).*
    FROM compute_allocation AS model, generate_series(1, %(count)s) AS n WHERE model.owner_id = %(job)s""",
    """INSERT INTO jobs_attempt (job_id, number, allocation_id, counted)
    SELECT lpad(n::text, 26, '0'), 1, lpad(n::text, 26, '0'), true FROM generate_series(1, %(count)s) AS n""",
    "ANALYZE",
)


def main(count: int) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    django.setup()
    from portal.accounts.models import User

    own, other = User.objects.get(username="admin"), User.objects.get(username="scientist")
    given = {"count": count, "own": own.pk, "other": other.pk, "job": a_job_that_is_over(other).pk}
    with connection.cursor() as cursor:
        for statement in COPIES:
            cursor.execute(statement, given)


def a_job_that_is_over(owner: Any) -> Any:
    """One that has succeeded, as far as its rows say."""
    from jobs.actions import submit
    from jobs.models import Attempt, Job
    from jobs.submission import Submission
    from portal.compute.models import Allocation
    from portal.lib import clock

    job = submit(owner, Submission(template="python", command=["python", "train.py"]), actor="benchmark")
    ended = clock.now()
    began = ended - timedelta(minutes=5)
    Allocation.objects.filter(attempt__job=job).update(
        phase="ended", reason="completed", started_at=began, ended_at=ended, next_look_at=None
    )
    Attempt.objects.filter(job=job).update(counted=True)
    Job.objects.filter(pk=job.pk).update(
        state="succeeded", reason="completed", begun_at=began, ended_at=ended, artifacts_state="complete"
    )
    return job


if __name__ == "__main__":
    main(int(sys.argv[1]))
