"""The default of chosen columns is an empty list; it was a field, since the class calls another of its fields `list`."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("console", "0003_dismissal")]
    operations = [
        migrations.AlterField("listcolumns", "columns", models.JSONField(default=list)),
        migrations.AlterField("savedview", "columns", models.JSONField(default=list)),
    ]
