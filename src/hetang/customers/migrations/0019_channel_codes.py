"""Codes by which people come have a name and a campaign."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("customers", "0018_kept_changes")]
    operations = [
        migrations.CreateModel(
            "ChannelCode",
            [
                ("state", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("name", models.CharField(blank=True, default="", max_length=60)),
                ("campaign", models.UUIDField(null=True)),
                ("updated_at", models.DateTimeField()),
            ],
        ),
    ]
