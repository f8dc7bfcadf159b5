"""The schema `reporting`: views for tools that read tables. What they may show is decided here, column by column.

A migration that changes what a view reads must drop it and create it anew.
"""

from django.db import migrations

SCHEMA = "CREATE SCHEMA reporting;"
NO_SCHEMA = "DROP SCHEMA reporting CASCADE;"

VIEWS = """
CREATE VIEW reporting.members AS
SELECT team.slug AS team, team.name AS team_name, person.username AS "user", person.name AS user_name, role,
    person.is_active
FROM accounts_membership AS membership
JOIN accounts_team AS team ON team.id = membership.team_id
JOIN accounts_user AS person ON person.id = membership.user_id;

CREATE VIEW reporting.usage AS
SELECT used.id, owner_kind AS kind, owner_id AS item, team, "user", template, node, meter, gpu_class, quantity,
    started_at, ended_at, seconds, quantity * seconds / 3600 AS hours, price_per_hour, currency,
    quantity * seconds / 3600 * price_per_hour AS cost
FROM usage_usageinterval AS used
CROSS JOIN LATERAL (
    SELECT trunc(extract(epoch FROM coalesce(ended_at, date_trunc('second', now())) - started_at)) AS seconds
) AS lasted;

CREATE VIEW reporting.usage_by_day AS
SELECT day, owner_kind AS kind, owner_id AS item, team, "user", template, node, meter, gpu_class, currency,
    sum(quantity * seconds) / 3600 AS hours, sum(quantity * seconds * price_per_hour) / 3600 AS cost
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
GROUP BY day, owner_kind, owner_id, team, "user", template, node, meter, gpu_class, currency;

CREATE VIEW reporting.runs AS
SELECT run.id, owner_kind AS kind, owner_id AS item, team.slug AS team, person.username AS "user", size_id AS size, run.cpu,
    run.memory / 1073741824.0 AS memory_gib, gpu_class_id AS gpu_class, gpu_count, node.name AS node, phase, reason,
    created_at, started_at, ended_at, extract(epoch FROM started_at - created_at) AS waited_seconds, exit_code
FROM compute_allocation AS run
JOIN accounts_team AS team ON team.id = run.team_id
JOIN accounts_user AS person ON person.id = run.user_id
LEFT JOIN compute_node AS node ON node.id = run.node_id;

CREATE VIEW reporting.workspaces AS
SELECT workspace.id, workspace.name, team.slug AS team, person.username AS "user", version.template_id AS template,
    version.version, size_id AS size, workspace.created_at, last_activity_at, deleted_at
FROM environments_workspace AS workspace
JOIN accounts_team AS team ON team.id = workspace.team_id
JOIN accounts_user AS person ON person.id = workspace.owner_id
JOIN environments_templateversion AS version ON version.id = workspace.version_id;

CREATE VIEW reporting.jobs AS
SELECT job.id, job.name, team.slug AS team, person.username AS "user", version.template_id AS template, version.version,
    size_id AS size, priority, state, reason, exit_code, job.created_at, begun_at, ended_at, git_commit,
    sweep_id AS sweep, schedule_id AS schedule,
    (SELECT count(*) FROM jobs_attempt AS attempt WHERE attempt.job_id = job.id) AS attempts
FROM jobs_job AS job
JOIN accounts_team AS team ON team.id = job.team_id
JOIN accounts_user AS person ON person.id = job.owner_id
JOIN environments_templateversion AS version ON version.id = job.version_id;

CREATE VIEW reporting.statements AS
SELECT statement.id, team.slug AS team, month, currency, made_at, spent / 3600 AS exact, total
FROM usage_statement AS statement
JOIN accounts_team AS team ON team.id = statement.team_id;

CREATE VIEW reporting.budgets AS
SELECT team.slug AS team, amount, policy
FROM usage_budget AS budget
JOIN accounts_team AS team ON team.id = budget.team_id;
"""


class Migration(migrations.Migration):
    initial = True
    dependencies = [
        ("accounts", "0002_keys_secrets_shares"),
        ("compute", "0002_idle_gpus_line"),
        ("environments", "0002_jobs_files_sharing_idle"),
        ("jobs", "0001_initial"),
        ("usage", "0004_guards"),
    ]
    operations = [migrations.RunSQL(SCHEMA, NO_SCHEMA), migrations.RunSQL(VIEWS, migrations.RunSQL.noop)]
