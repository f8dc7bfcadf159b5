"""What the views show has a project and what was measured, and a budget may be a person's.

New columns come last: who may read the views still may.
"""

from django.db import migrations

VIEWS = """
CREATE OR REPLACE VIEW reporting.usage AS
SELECT held.id, owner_kind AS kind, owner_id AS item, team, "user", template, node, meter, gpu_class, quantity,
    started_at, ended_at, seconds, quantity * seconds / 3600 AS hours, price_per_hour, currency,
    quantity * seconds / 3600 * price_per_hour AS cost, project, measured / 3600 AS hours_measured,
    used / 3600 AS hours_used
FROM usage_usageinterval AS held
CROSS JOIN LATERAL (
    SELECT trunc(extract(epoch FROM coalesce(ended_at, date_trunc('second', now())) - started_at)) AS seconds
) AS lasted;

CREATE OR REPLACE VIEW reporting.usage_by_day AS
SELECT day, owner_kind AS kind, owner_id AS item, team, "user", template, node, meter, gpu_class, currency,
    sum(quantity * seconds) / 3600 AS hours, sum(quantity * seconds * price_per_hour) / 3600 AS cost,
    project
FROM usage_usageinterval AS used
CROSS JOIN LATERAL (SELECT coalesce(ended_at, date_trunc('second', now())) AS until) AS known
CROSS JOIN LATERAL generate_series(
    (started_at AT TIME ZONE 'UTC')::date, (until AT TIME ZONE 'UTC')::date, interval '1 day'
) AS midnight
CROSS JOIN LATERAL (
    SELECT midnight::date AS day, trunc(extract(epoch FROM
        least(until, (midnight + interval '1 day') AT TIME ZONE 'UTC') - greatest(started_at, midnight AT TIME ZONE 'UTC')
    )) AS seconds
) AS piece
WHERE seconds > 0
GROUP BY day, owner_kind, owner_id, team, "user", template, node, meter, gpu_class, currency, project;

CREATE OR REPLACE VIEW reporting.workspaces AS
SELECT workspace.id, workspace.name, team.slug AS team, person.username AS "user", version.template_id AS template,
    version.version, size_id AS size, workspace.created_at, last_activity_at, deleted_at, project
FROM environments_workspace AS workspace
JOIN accounts_team AS team ON team.id = workspace.team_id
JOIN accounts_user AS person ON person.id = workspace.owner_id
JOIN environments_templateversion AS version ON version.id = workspace.version_id;

CREATE OR REPLACE VIEW reporting.jobs AS
SELECT job.id, job.name, team.slug AS team, person.username AS "user", version.template_id AS template, version.version,
    size_id AS size, priority, state, reason, exit_code, job.created_at, begun_at, ended_at, git_commit,
    sweep_id AS sweep, schedule_id AS schedule,
    (SELECT count(*) FROM jobs_attempt AS attempt WHERE attempt.job_id = job.id) AS attempts,
    project
FROM jobs_job AS job
JOIN accounts_team AS team ON team.id = job.team_id
JOIN accounts_user AS person ON person.id = job.owner_id
JOIN environments_templateversion AS version ON version.id = job.version_id;

CREATE OR REPLACE VIEW reporting.budgets AS
SELECT team.slug AS team, amount, policy, person.username AS "user", project
FROM usage_budget AS budget
JOIN accounts_team AS team ON team.id = budget.team_id
LEFT JOIN accounts_user AS person ON person.id = budget.user_id;
"""
NO_VIEWS = "DROP VIEW reporting.usage, reporting.usage_by_day, reporting.workspaces, reporting.jobs, reporting.budgets;"


class Migration(migrations.Migration):
    dependencies = [
        ("administration", "0001_reporting"),
        ("environments", "0005_project"),
        ("jobs", "0003_project"),
        ("usage", "0009_measured_use"),
    ]
    operations = [migrations.RunSQL(VIEWS, NO_VIEWS)]
