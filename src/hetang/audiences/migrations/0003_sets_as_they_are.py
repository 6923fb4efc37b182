"""Sets are stored as they are: PostgreSQL would try to compress megabytes that do not get smaller."""

from django.db import migrations

COLUMNS = ("members", "entered_members", "left_members")


def _storage(kind: str) -> str:
    changes = ", ".join(f"alter column {name} set storage {kind}" for name in COLUMNS)
    return f"alter table audiences_audiencesnapshot {changes}"


class Migration(migrations.Migration):
    dependencies = [("audiences", "0002_in_time")]

    operations = [migrations.RunSQL(_storage("external"), _storage("extended"))]
