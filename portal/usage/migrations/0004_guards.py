"""The database itself refuses to change or delete a statement, and a price that begins within a second.

Of two prices of one second the later one stays: usage is counted in whole seconds.
"""

from django.db import migrations

STATEMENTS = """
CREATE FUNCTION usage_statement_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a statement is never changed or deleted; the next one corrects it';
END $$;
CREATE TRIGGER usage_statement_is_final BEFORE UPDATE OR DELETE ON usage_statement
    FOR EACH ROW EXECUTE FUNCTION usage_statement_is_final();
CREATE TRIGGER usage_statement_is_final BEFORE UPDATE OR DELETE ON usage_statementitem
    FOR EACH ROW EXECUTE FUNCTION usage_statement_is_final();
"""
NO_STATEMENTS = """
DROP TRIGGER usage_statement_is_final ON usage_statementitem;
DROP TRIGGER usage_statement_is_final ON usage_statement;
DROP FUNCTION usage_statement_is_final();
"""
PRICES = """
DELETE FROM usage_price a USING usage_price b
    WHERE a.sku = b.sku AND a.valid_from < b.valid_from
    AND date_trunc('second', a.valid_from) = date_trunc('second', b.valid_from);
UPDATE usage_price SET valid_from = date_trunc('second', valid_from);
ALTER TABLE usage_price ADD CONSTRAINT price_begins_at_a_second CHECK (valid_from = date_trunc('second', valid_from));
"""
NO_PRICES = "ALTER TABLE usage_price DROP CONSTRAINT price_begins_at_a_second;"


class Migration(migrations.Migration):
    dependencies = [("usage", "0003_budgets_statements")]
    operations = [migrations.RunSQL(STATEMENTS, NO_STATEMENTS), migrations.RunSQL(PRICES, NO_PRICES)]
