"""Sets of kept tags are stored as they are: PostgreSQL would try to compress megabytes that do not get smaller."""

from django.db import migrations

COLUMNS = {"customers_kepttag": "members", "customers_keptchunk": "bits"}


def _storage(kind: str) -> str:
    return "; ".join(f"alter table {table} alter column {name} set storage {kind}" for table, name in COLUMNS.items())


class Migration(migrations.Migration):
    dependencies = [("customers", "0014_kept_tags")]

    operations = [migrations.RunSQL(_storage("external"), _storage("extended"))]
