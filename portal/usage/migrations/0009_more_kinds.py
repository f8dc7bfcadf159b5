"""There are more kinds of totals: all are added up anew, by the ticks. Until they are, answers come from the ledger."""

from django.db import migrations

FORWARD = """
DELETE FROM usage_usagetotal;
INSERT INTO usage_unsummed SELECT id FROM usage_usageinterval WHERE ended_at IS NOT NULL ON CONFLICT DO NOTHING;
"""


class Migration(migrations.Migration):
    dependencies = [("usage", "0008_budgets_of_parts")]
    operations = [migrations.RunSQL(FORWARD, migrations.RunSQL.noop)]
