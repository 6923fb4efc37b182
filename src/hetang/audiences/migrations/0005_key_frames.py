"""Snapshots that say whom they differ by from the one before; those that are there stay key frames."""

from django.db import migrations, models

_STORAGE = "alter table audiences_audiencesnapshot alter column moved set storage {}"


class Migration(migrations.Migration):
    dependencies = [("audiences", "0004_automatic_tags")]

    operations = [
        migrations.AlterField("audiencesnapshot", "members", models.BinaryField(null=True)),
        migrations.AddField("audiencesnapshot", "moved", models.BinaryField(null=True)),
        migrations.RunSQL(_STORAGE.format("external"), _STORAGE.format("extended")),
    ]
