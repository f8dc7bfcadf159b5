"""Two more kinds of totals, made of finer ones: years of each person, and days of everything."""

from django.db import migrations

SUMMED = ("cpu", "memory", "gpu", "storage", "spent", "cpu_measured", "cpu_used", "gpu_measured", "gpu_used")
COARSER = """
INSERT INTO usage_usagetotal (kind, started_at, team, "user", project, template, gpu_class, owner_kind, node, currency,
    {summed})
SELECT '{kind}', date_trunc('{step}', started_at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AS begins, team, "user", project,
    template, gpu_class, owner_kind, node, currency, {sums}
FROM usage_usagetotal WHERE kind = '{finer}'
GROUP BY begins, team, "user", project, template, gpu_class, owner_kind, node, currency
"""


def coarser(kind: str, step: str, finer: str) -> migrations.RunSQL:
    names = {"summed": ", ".join(SUMMED), "sums": ", ".join(f"sum({name})" for name in SUMMED)}
    forward = COARSER.format(kind=kind, step=step, finer=finer, **names)
    return migrations.RunSQL(forward, f"DELETE FROM usage_usagetotal WHERE kind = '{kind}'")


class Migration(migrations.Migration):
    dependencies = [("usage", "0009_measured_use")]
    operations = [coarser("user-year", "year", "user-month"), coarser("all-day", "day", "hour")]
