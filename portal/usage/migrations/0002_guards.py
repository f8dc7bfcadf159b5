"""Closed intervals are immutable, and intervals of one allocation and meter never overlap."""

from django.db import migrations

# A range over text gives GiST an operator for equality of the key without the btree_gist extension,
# which embedded PostgreSQL does not ship: equal keys are the same one-point range.
FORWARD = """
CREATE TYPE usage_key AS RANGE (subtype = text, collation = "C");
ALTER TABLE usage_usageinterval ADD CONSTRAINT usage_no_overlap EXCLUDE USING gist (
    usage_key(allocation_id || ' ' || meter, allocation_id || ' ' || meter, '[]') WITH &&,
    tstzrange(started_at, ended_at) WITH &&
);
CREATE FUNCTION usage_closed_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.ended_at IS NOT NULL THEN
        RAISE EXCEPTION 'a closed usage interval is never changed or deleted; write a correction';
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER usage_closed_is_final BEFORE UPDATE OR DELETE ON usage_usageinterval
    FOR EACH ROW EXECUTE FUNCTION usage_closed_is_final();
"""
BACKWARD = """
DROP TRIGGER usage_closed_is_final ON usage_usageinterval;
DROP FUNCTION usage_closed_is_final();
ALTER TABLE usage_usageinterval DROP CONSTRAINT usage_no_overlap;
DROP TYPE usage_key;
"""


class Migration(migrations.Migration):
    dependencies = [("usage", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
