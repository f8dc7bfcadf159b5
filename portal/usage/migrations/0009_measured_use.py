"""What was at work is measured, storage has a meter, and there are more kinds of totals: the ticks add up all anew.

Until they have, answers come from the ledger.
"""

from decimal import Decimal

from django.db import migrations, models

ANEW = """
DELETE FROM usage_usagetotal;
INSERT INTO usage_unsummed SELECT id FROM usage_usageinterval WHERE ended_at IS NOT NULL ON CONFLICT DO NOTHING;
"""
COLUMNS = ("kind", "started_at", "team", "user", "project", "template", "gpu_class", "owner_kind", "node", "currency")
MEASURED = ("cpu_measured", "cpu_used", "gpu_measured", "gpu_used")


class Migration(migrations.Migration):
    dependencies = [("usage", "0008_budgets_of_parts")]
    operations = [
        *(migrations.AddField("usageinterval", name, models.FloatField(default=0)) for name in ("measured", "used")),
        *(migrations.AddField("usagetotal", name, models.BigIntegerField(default=0)) for name in MEASURED),
        migrations.AddField(
            "usagetotal", "storage", models.DecimalField(max_digits=40, decimal_places=4, default=Decimal(0))
        ),
        migrations.RemoveConstraint(model_name="usagetotal", name="usage_total_once"),
        migrations.AddField("usagetotal", "currency", models.CharField(max_length=3, default="")),
        migrations.AddConstraint(
            model_name="usagetotal",
            constraint=models.UniqueConstraint(fields=COLUMNS, name="usage_total_once"),
        ),
        migrations.AddIndex(
            "usageinterval",
            models.Index(fields=["ended_at"], condition=models.Q(meter="storage"), name="usage_kept_by_end"),
        ),
        migrations.RunSQL(ANEW, migrations.RunSQL.noop),
    ]
