"""Sums change with every order: their pages keep room, so that an update touches no index (HOT)."""

from django.db import migrations

TABLES = ("commerce_customermetric", "commerce_customerstore", "commerce_customercategory")
FORWARD = ";".join(f"alter table {table} set (fillfactor = 70)" for table in TABLES)
BACKWARD = ";".join(f"alter table {table} reset (fillfactor)" for table in TABLES)


class Migration(migrations.Migration):
    dependencies = [("commerce", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
