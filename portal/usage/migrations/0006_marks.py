"""The database itself marks each interval as it closes, so that none is missing from the totals."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION usage_mark_closed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO usage_unsummed (interval_id) VALUES (NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER usage_mark_closed AFTER INSERT OR UPDATE ON usage_usageinterval
    FOR EACH ROW WHEN (NEW.ended_at IS NOT NULL) EXECUTE FUNCTION usage_mark_closed();
INSERT INTO usage_unsummed (interval_id) SELECT id FROM usage_usageinterval WHERE ended_at IS NOT NULL;
"""
BACKWARD = """
DROP TRIGGER usage_mark_closed ON usage_usageinterval;
DROP FUNCTION usage_mark_closed();
"""


class Migration(migrations.Migration):
    dependencies = [("usage", "0005_totals")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
