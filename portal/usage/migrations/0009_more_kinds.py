"""There are more kinds of totals: all are added up anew, by the ticks. Until they are, answers come from the ledger."""

from django.db import migrations, models

FORWARD = """
DELETE FROM usage_usagetotal;
INSERT INTO usage_unsummed SELECT id FROM usage_usageinterval WHERE ended_at IS NOT NULL ON CONFLICT DO NOTHING;
"""
COLUMNS = ("kind", "started_at", "team", "user", "project", "template", "gpu_class", "owner_kind", "node", "currency")


class Migration(migrations.Migration):
    dependencies = [("usage", "0008_budgets_of_parts")]
    operations = [
        migrations.RunSQL(FORWARD, migrations.RunSQL.noop),
        migrations.RemoveConstraint(model_name="usagetotal", name="usage_total_once"),
        migrations.AddField("usagetotal", "currency", models.CharField(max_length=3, default="")),
        migrations.AddConstraint(
            model_name="usagetotal",
            constraint=models.UniqueConstraint(fields=COLUMNS, name="usage_total_once"),
        ),
    ]
