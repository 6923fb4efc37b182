"""Rows that change often keep room on their page, so that an update touches no index."""

from django.db import migrations

TABLES = ("customers_customer", "customers_customerattribute", "customers_consent", "customers_relation")
FORWARD = ";".join(f"alter table {table} set (fillfactor = 85)" for table in TABLES)
BACKWARD = ";".join(f"alter table {table} reset (fillfactor)" for table in TABLES)


class Migration(migrations.Migration):
    dependencies = [("customers", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
