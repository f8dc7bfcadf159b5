"""There are other kinds of totals: the ticks add up all anew. Until they have, answers come from the ledger."""

from django.db import migrations

ANEW = """
DELETE FROM usage_usagetotal;
INSERT INTO usage_unsummed SELECT id FROM usage_usageinterval WHERE ended_at IS NOT NULL ON CONFLICT DO NOTHING;
"""


class Migration(migrations.Migration):
    dependencies = [("usage", "0011_intervals_by_time")]
    operations = [migrations.RunSQL(ANEW, migrations.RunSQL.noop)]
