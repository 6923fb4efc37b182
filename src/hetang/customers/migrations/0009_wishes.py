"""Objections and dates of birth are asked for each time a message is planned: each has an index of its own."""

from django.db import migrations, models

BORN = """
create index attribute_born on customers_customerattribute (code, left(value #>> '{}', 10), customer_id)
where value #>> '{}' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}'
"""


class Migration(migrations.Migration):
    dependencies = [("customers", "0008_bulk_changes")]

    operations = [
        migrations.AddIndex(
            model_name="consent",
            index=models.Index(
                fields=["customer"],
                name="consent_objected",
                condition=models.Q(purpose="personalisation", given=False),
            ),
        ),
        migrations.RunSQL(BORN, "drop index attribute_born"),
    ]
