"""Links count the clicks of which it is known whose they are. The column has a default of the database, so that rows are
written as before."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("touch", "0006_room_for_counts")]
    operations = [
        migrations.AddField("shortlink", "identified", models.BigIntegerField(db_default=0, default=0)),
    ]
